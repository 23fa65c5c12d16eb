import { z } from 'zod';

const hostStatusSchema = z.object({
  name: z.string(),
  /** Whether jobs can run there. */
  ok: z.boolean(),
  /** Milliseconds since 1970: since when that is so. */
  since: z.number(),
  /** When it was last looked at. */
  checked_at: z.number(),
  /** Why it is not, for people; null when it is. */
  reason: z.string().nullable(),
  /** Bytes that are free at its working folder; null when not known. */
  disk_free_bytes: z.number().nullable(),
  /** How far its clock is ahead of ours; null when not known. */
  clock_skew_seconds: z.number().nullable(),
});

/** `remote/status/hosts.json`: written by the watch (`jr-remote`), whole and by renaming; read by the API. */
export const hostsStatusSchema = z.object({ hosts: z.array(hostStatusSchema) });

export type HostStatus = z.infer<typeof hostStatusSchema>;
