import { EventEmitter } from 'node:events';
import type { Response } from 'express';
import { abortWith } from '../../src/abort.js';
import { abortWhenDone } from '../../src/http/long-reply.js';

const reply = () => new EventEmitter() as unknown as Response;

test('a wait ends at its time limit, when the caller leaves, and when the service stops', async () => {
  const stopping = new AbortController();
  const fired = (signal: AbortSignal) =>
    new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  const gone = reply();
  const waits = [
    fired(abortWhenDone(reply(), stopping.signal, 5)),
    fired(abortWhenDone(gone, stopping.signal, 60_000)),
  ];
  gone.emit('close');
  await Promise.all(waits);
  const patient = abortWhenDone(reply(), stopping.signal);
  stopping.abort();
  expect(patient.aborted).toBe(true);
  expect(abortWhenDone(reply(), stopping.signal).aborted).toBe(true);
  expect(abortWhenDone(reply(), new AbortController().signal, 0).aborted).toBe(true);
});

test('a follower gets its source’s reason, unless it was released before', () => {
  const source = new AbortController();
  const [follower, free] = [new AbortController(), new AbortController()];
  abortWith(follower, source.signal);
  abortWith(free, source.signal)();
  source.abort('why');
  expect(follower.signal.reason).toBe('why');
  expect(free.signal.aborted).toBe(false);
});
