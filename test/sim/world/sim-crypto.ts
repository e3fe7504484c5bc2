export { OsCrypto as SimCrypto } from '../../../src/base/os-crypto.ts';
