/**
 * Does the same with each of many things, several at a time. They are begun in their order; a place that comes free is taken by the next.
 * @param limit how many are under way at once. @returns what `work` made of each, in the order of the things. @throws what the first failure threw; those under way
 *   then go on unheard, and no further one is begun.
 */
export async function mapAtMost<T, R>(
  limit: number,
  things: readonly T[],
  work: (thing: T) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(things.length);
  let next = 0;
  let hasFailed = false;
  const lane = async () => {
    while (next < things.length && !hasFailed) {
      const at = next++;
      try {
        results[at] = await work(things[at] as T);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, things.length) }, lane));
  return results;
}
