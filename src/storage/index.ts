export { keyNumber, keyText, numberKey, prefixEnd, textKey } from './keys.ts';
export {
  type Key,
  type KeyRange,
  StorageFault,
  type Store,
  type StoreSnapshot,
  type StoreView,
  type Write,
} from './store.ts';
