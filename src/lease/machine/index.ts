export type {
  ApplyContext,
  CommandKind,
  Fact,
  MachineModule,
  QueryContext,
  QueryKind,
  ReadonlyTable,
  Table,
  TableRange,
} from './module.ts';
