import { registerHooks } from 'node:module';

/** Preloaded by an agent that is to find no QUIC, as on a machine that the package has no part for. */
registerHooks({
  resolve: (specifier, context, next) => {
    if (specifier === '@chainsafe/libp2p-quic') throw new Error('Cannot find native binding');
    return next(specifier, context);
  },
});
