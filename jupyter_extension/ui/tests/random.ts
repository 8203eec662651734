/** Numbers that look random and are the same in each run: properties are tried on many of them. */
export class Random {
  constructor(private state: number) {}

  /** 0 up to, not including, `limit`. */
  below(limit: number): number {
    this.state = (Math.imul(this.state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.state / 2 ** 32) * limit);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}

/** Try something with many seeds; the seed stands in the message of what fails. */
export function forSeeds(count: number, attempt: (random: Random, seed: number) => void): void {
  for (let seed = 1; seed <= count; seed += 1) {
    try {
      attempt(new Random(seed * 7919), seed);
    } catch (error) {
      throw new Error(
        `with seed ${seed}: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
}
