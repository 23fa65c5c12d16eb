import { readFileSync } from 'node:fs';
import { z } from 'zod';

/** What a box knows of itself and of its controller, in `boxes/self.json`; root and its agent alone can read it. */
const boxSelfSchema = z.strictObject({
  /** Random; by it the controller knows the box again. */
  box_id: z.string(),
  /** Empty until the box has joined for the first time. */
  name: z.string(),
  token: z.string(),
  controller: z.strictObject({ host: z.string(), port: z.number() }),
  /** SHA-256 of the join port's certificate, in base64url. */
  fingerprint: z.string(),
});
export type BoxSelf = z.infer<typeof boxSelfSchema>;

export function readSelf(path: string): BoxSelf {
  return boxSelfSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
}
