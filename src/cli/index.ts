export type { AgentReady, AgentStartOptions, StartAgent } from './agent-start.ts';
export type { CliIo, CliOutput, Interrupt } from './io.ts';
export { type CliOptions, createProgram, runCli } from './program.ts';
