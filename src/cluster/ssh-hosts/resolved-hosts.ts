import { z } from 'zod';

const absolute = z.string().regex(/^\//);

const resolvedLogin = z.object({
  host: z.string(),
  port: z.number().int(),
  user: z.string(),
  /** A copy of the private key in `remote/keys` that `jr-remote` alone can read; null for none. */
  identity_path: absolute.nullable(),
  /** A file in `remote/keys` with nothing but the password, no line end; null for none. */
  password_path: absolute.nullable(),
});

/** A host of the file, its keys and passwords lying where `jr-remote` finds them. */
export const resolvedHostSchema = resolvedLogin.extend({
  name: z.string(),
  proxy_jump: z.array(resolvedLogin),
  gpus: z.object({ count: z.number().int(), type: z.string(), memory_gb: z.number() }),
  cpus: z.number().int(),
  memory_gb: z.number(),
  workdir: z.string(),
  labels: z.record(z.string(), z.string()),
  /** It was taken out of the file, or is to get other CPUs, memory or GPUs: takes no new job, and goes when its last one has ended. */
  leaving: z.boolean(),
});

/** `remote/hosts.json`: written by root, read by the API and by what runs as `jr-remote`. */
export const hostsRecordSchema = z.object({
  hosts: z.array(resolvedHostSchema),
  /** Why the file of SSH hosts, as it stands now, is not used; null when it is. */
  problem: z.string().nullable(),
});

export type ResolvedLogin = z.infer<typeof resolvedLogin>;
export type ResolvedHost = z.infer<typeof resolvedHostSchema>;
export type HostsRecord = z.infer<typeof hostsRecordSchema>;

/** Slurm's reason while a host is leaving. */
export const LEAVING_REASON = 'leaves: it was taken out of the file of SSH hosts, or changed there';
