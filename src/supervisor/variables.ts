/**
 * Variables that make another program of one: what is loaded into it before it begins, or run beside it. A job that may bring them is not bound by
 * a list of commands. `*` stands for any end.
 */
export const DEFAULT_REFUSED: readonly string[] = [
  ...['LD_*', 'DYLD_*', 'GCONV_PATH', 'GLIBC_TUNABLES', 'BASH_ENV', 'ENV', 'BASH_FUNC_*'],
  ...['NODE_OPTIONS', 'PERL5OPT', 'PERL5DB', 'RUBYOPT', 'PYTHONSTARTUP', 'PYTHONBREAKPOINT'],
  ...['JAVA_TOOL_OPTIONS', '_JAVA_OPTIONS', 'JDK_JAVA_OPTIONS'],
];

/** @param allowed by the owner: naming one there, not by `*`, lifts its refusal. */
export function isRefused(name: string, allowed: readonly string[] | null): boolean {
  return isAllowed(name, DEFAULT_REFUSED) && allowed?.includes(name) !== true;
}

/** @param patterns names, or beginnings of names and `*`. */
export function isAllowed(name: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) =>
    pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern,
  );
}
