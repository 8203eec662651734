import { Observable } from '../state/observable';

/** Which jobs are compared: what a layout keeps. */
export class Comparison {
  readonly ids: Observable<readonly string[]>;

  constructor(ids: readonly string[]) {
    this.ids = new Observable<readonly string[]>([...new Set(ids)]);
  }

  add(id: string): void {
    if (!this.ids.value.includes(id)) {
      this.ids.set([...this.ids.value, id]);
    }
  }

  remove(id: string): void {
    this.ids.set(this.ids.value.filter(other => other !== id));
  }
}
