export { bashCompletion } from './bash.ts';
export { commandTable, type KnownCommand, type KnownFlag } from './command-table.ts';
export { fishCompletion } from './fish.ts';
export { zshCompletion } from './zsh.ts';
