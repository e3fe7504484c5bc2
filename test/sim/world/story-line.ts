const TOLD = [
  /^nemesis /,
  /^observed \{"type":"(leader|accepted|acknowledged|runs|stopped|stoodStill|expelled|left|holds|givesBack|watches)"/,
  /^(kv|survey|c|wt)\S* /,
  /^n\d+ (info|warn|error|is |dies|was |did |failed)/,
  /^n\d+: /,
  /^(breach|faults stop|job_)/,
];

/** Whether people who want the story of a run should read this line of its trace; the other lines are for those who look into an agent. */
export function isOfTheStory(line: string): boolean {
  return TOLD.some((pattern) => pattern.test(line));
}
