/** What a person had open and chosen among a job's outputs, for as long as the page lives. */
export interface Remembered {
  store: string | null;
  opened: Set<string>;
  selected: ReadonlySet<string>;
  focused: string | null;
  pattern: string;
}

const MOST = 50;
const memory = new Map<string, Remembered>();

export function remembered(job: string): Remembered {
  const found = memory.get(job) ?? {
    store: null,
    opened: new Set<string>(),
    selected: new Set<string>(),
    focused: null,
    pattern: '',
  };
  // The last one that was asked for is the last one to be forgotten.
  memory.delete(job);
  memory.set(job, found);
  for (const oldest of memory.keys()) {
    if (memory.size <= MOST) {
      break;
    }
    memory.delete(oldest);
  }
  return found;
}
