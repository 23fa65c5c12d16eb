import { z } from 'zod';

const hostStatusSchema = z.object({
  name: z.string(),
  /** Whether jobs can run there. */
  ok: z.boolean(),
  /** Time since when that is so, in milliseconds since 1970. */
  since: z.number(),
  /** Time of the last check. */
  checked_at: z.number(),
  /** Reason, for people, why jobs cannot run there; null if they can. */
  reason: z.string().nullable(),
  /** Bytes that are free in its working folder; null if unknown. */
  disk_free_bytes: z.number().nullable(),
  /** Seconds by which its clock is ahead of ours; null if unknown. */
  clock_skew_seconds: z.number().nullable(),
});

/**
 * The file `remote/status/hosts.json`: the watch (`jr-remote`) writes it as a whole and by
 * renaming; the API reads it.
 */
export const hostsStatusSchema = z.object({ hosts: z.array(hostStatusSchema) });

export type HostStatus = z.infer<typeof hostStatusSchema>;
