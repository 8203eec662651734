import type { IStateDB } from '@jupyterlab/statedb';

import type { Place, Values } from './request';

/** What a person chose the last time, by case. */
export interface Remembered {
  values: Values;
  place: Place | null;
}

/** Keeps the last choices with JupyterLab's own state. */
export class Memory {
  constructor(private readonly state: IStateDB | null) {}

  async recall(name: string): Promise<Remembered | null> {
    const found = await this.state?.fetch(key(name));
    if (typeof found !== 'object' || found === null) {
      return null;
    }
    const kept = found as Partial<Remembered>;
    return { values: kept.values ?? {}, place: kept.place ?? null };
  }

  async keep(name: string, remembered: Remembered): Promise<void> {
    await this.state?.save(key(name), JSON.parse(JSON.stringify(remembered)) as never);
  }
}

function key(name: string): string {
  return `science-gateway:launch:${name}`;
}
