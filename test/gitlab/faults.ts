import type { IncomingMessage } from 'node:http';

export type Fault =
  /** Sends this reply and does nothing else. */
  | { kind: 'answer'; status: number; body?: string; headers?: Record<string, string> }
  /** Breaks the connection without doing anything. */
  | { kind: 'reset' }
  /** Does what is asked, then breaks the connection. */
  | { kind: 'lost-reply' }
  /** Answers only when that is over. */
  | { kind: 'slow'; until: Promise<unknown> }
  /** Sends the head of the reply and half of its body, then breaks the connection. */
  | { kind: 'half' }
  /** While a commit is being made. */
  | { kind: 'meanwhile'; act: () => Promise<void> };

export interface FaultOn {
  method?: string;
  /** Matches the URL's path and query. */
  url?: RegExp;
  /** Number of times; 1 by default. */
  times?: number;
}

/** The planned faults, in the order of their planning. */
export class Faults {
  #planned: (FaultOn & { fault: Fault; left: number })[] = [];

  plan(on: FaultOn, fault: Fault): void {
    this.#planned.push({ ...on, fault, left: on.times ?? 1 });
  }

  /** Returns the fault for this request, if any. */
  take({ method, url = '' }: IncomingMessage): Fault | undefined {
    const due = this.#planned.find(
      (each) =>
        each.left > 0 &&
        (each.method === undefined || each.method === method) &&
        (each.url === undefined || each.url.test(decodeURIComponent(url))),
    );
    if (due === undefined) return undefined;
    due.left -= 1;
    return due.fault;
  }

  /** Lets a test check that all its planned faults happened. */
  get left(): number {
    return this.#planned.reduce((sum, { left }) => sum + (left === Infinity ? 0 : left), 0);
  }
}
