import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { AppError } from '../../src/errors.js';
import { AnonymousUploads } from '../../src/queue-api/anonymous-uploads.js';

let now: number;
let uploads: AnonymousUploads;
/** End the forms that are still being read. */
let ends: (() => void)[];
beforeEach(() => {
  now = 1_000_000;
  ends = [];
  uploads = new AnonymousUploads(() => now);
});
afterEach(() => {
  for (const end of ends) end();
});

/** A form whose sender sends nothing more. @param told what to return of the error that ends it */
function idle(sender: string, told = (error: AppError): string => error.code): Promise<string> {
  const held = uploads.hold(
    sender,
    (signal) =>
      new Promise<void>((resolve, reject) => {
        ends.push(resolve);
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      }),
  );
  return held.then(
    () => 'read',
    (error: unknown) => told(error as AppError),
  );
}

/** A form that arrives at once. */
const quick = (sender: string) =>
  uploads.hold(sender, () => Promise.resolve('read')).catch((error: AppError) => error.code);

test('idle forms make room for others from the same sender, and from all senders', async () => {
  const first = idle('a');
  for (let i = 0; i < 3; i++) void idle('a');
  expect(await quick('b')).toBe('read');
  now += 6000;
  expect(await quick('a')).toBe('read');
  expect(await first).toBe('too_many_attempts');

  for (const sender of ['b', 'c', 'd']) for (let i = 0; i < 4; i++) void idle(sender);
  expect(await quick('a')).toBe('read');
  void idle('a');
  now += 6000;
  expect(await quick('e')).toBe('read');
});

test('forms that have just begun keep their slots', async () => {
  for (let i = 0; i < 4; i++) void idle('a');
  now += 4000;
  expect(await quick('a')).toBe('too_many_attempts');
  for (const sender of ['b', 'c', 'd']) for (let i = 0; i < 4; i++) void idle(sender);
  expect(await quick('e')).toBe('too_many_attempts');
});

test('a form of the sender with the most forms makes room when all slots are taken', async () => {
  const only = idle('a');
  now += 1;
  const ofMany = Array.from({ length: 4 }, () => idle('b'));
  for (const sender of ['c', 'd', 'e']) for (let i = 0; i < 4; i++) void idle(sender);
  expect(await Promise.race([only, Promise.resolve('still there')])).toBe('still there');
  now += 6000;
  expect(await quick('f')).toBe('read');
  expect(await Promise.race(ofMany)).toBe('too_many_attempts');
  expect(await Promise.race([only, Promise.resolve('still there')])).toBe('still there');
});

test('a form without a slot, and one that lost its slot, name the remedy', async () => {
  const held = idle('a', (error) => error.message);
  for (let i = 0; i < 3; i++) void idle('a');
  await expect(uploads.hold('a', () => Promise.resolve())).rejects.toThrow(
    'too many submissions without an Authorization header are being read: send the token as "Authorization: Bearer <token>", too, or try again in a moment',
  );
  now += 6000;
  await quick('a');
  expect(await held).toBe(
    'the form took longer than 5 s while others waited: send the token as "Authorization: Bearer <token>", too, or try again in a moment',
  );
});
