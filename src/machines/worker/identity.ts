import { readFileSync } from 'node:fs';
import { z } from 'zod';

/**
 * A worker's data about itself and its controller, in `workers/self.json`, which only root and the
 * agent can read.
 */
const identitySchema = z.strictObject({
  /** Random; the controller recognizes the worker by it. */
  worker_id: z.string(),
  /** Empty until the worker has joined for the first time. */
  name: z.string(),
  token: z.string(),
  controller: z.strictObject({ host: z.string(), port: z.number() }),
  /** SHA-256 of the join port's certificate, in base64url. */
  fingerprint: z.string(),
});
export type WorkerIdentity = z.infer<typeof identitySchema>;

export function readIdentity(path: string): WorkerIdentity {
  return identitySchema.parse(JSON.parse(readFileSync(path, 'utf8')));
}
