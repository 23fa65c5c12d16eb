import { z } from 'zod';

const absolute = z.string().regex(/^\//);

const resolvedLogin = z.object({
  host: z.string(),
  port: z.number().int(),
  user: z.string(),
  /** Copy of the private key in `remote/keys` that only `jr-remote` can read; null for none. */
  identity_path: absolute.nullable(),
  /** File in `remote/keys` with only the password, without a line end; null for none. */
  password_path: absolute.nullable(),
});

/** A host of the file, with its keys and passwords stored where `jr-remote` finds them. */
export const resolvedHostSchema = resolvedLogin.extend({
  name: z.string(),
  proxy_jump: z.array(resolvedLogin),
  gpus: z.object({ count: z.number().int(), type: z.string(), memory_gb: z.number() }),
  cpus: z.number().int(),
  memory_gb: z.number(),
  workdir: z.string(),
  labels: z.record(z.string(), z.string()),
  /**
   * Whether the host was removed from the file, or is to get other CPUs, memory or GPUs. It takes
   * no new job, and goes when its last one has ended.
   */
  leaving: z.boolean(),
});

/** The file `remote/hosts.json`: root writes it; the API and processes of `jr-remote` read it. */
export const hostsRecordSchema = z.object({
  hosts: z.array(resolvedHostSchema),
  /** Reason why the current file of SSH hosts is not used; null if it is. */
  problem: z.string().nullable(),
});

export type ResolvedLogin = z.infer<typeof resolvedLogin>;
export type ResolvedHost = z.infer<typeof resolvedHostSchema>;
export type HostsRecord = z.infer<typeof hostsRecordSchema>;

/** Slurm's reason while a host is leaving. */
export const LEAVING_REASON = 'leaves: removed from the file of SSH hosts, or changed there';
