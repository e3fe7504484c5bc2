export type {
  CallOptions,
  GroupClient,
  GroupName,
  GroupRole,
  GroupStatus,
  Leadership,
  Proposal,
  Query,
} from './group.ts';
export { MAIN_GROUP } from './group.ts';
