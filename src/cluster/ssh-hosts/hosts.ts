import { isAlias, parseDocument, visit } from 'yaml';
import { z } from 'zod';
import { firstProblem, issueText, parseKnown } from '../../schema-problems.js';

const word = (what: string) =>
  z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9._@:%-]{0,252}$/, `expected ${what}`);
/** Path of a file on this machine. */
const localPath = z.string().regex(/^\/[^\0\n]*$/, 'expected an absolute path on this machine');
const portNumber = z.int().min(1).max(65_535);

const login = {
  host: word('a name or address such as 10.221.102.181'),
  port: portNumber.optional(),
  user: word('a user name').optional(),
  /** Private key without a passphrase. */
  identity_file: localPath.optional(),
  /** Name of the environment variable with the password. */
  password_variable: z
    .string()
    .regex(/^JR_SSH_PASSWORD(_[A-Z0-9_]+)?$/, 'expected JR_SSH_PASSWORD or JR_SSH_PASSWORD_…')
    .optional(),
};

const jumpObject = z.strictObject(login);

/** Schema of a jump host: a mapping, or `user@host:port`. */
const jumpSchema = z.union([
  jumpObject,
  z
    .string()
    .regex(
      /^([A-Za-z0-9_][\w.-]*@)?[A-Za-z0-9][\w.-]*(:\d{1,5})?$/,
      'expected user@host or user@host:port',
    )
    .transform((text): z.infer<typeof jumpObject> => {
      const [, user, host = '', port] = /^(?:([^@:]+)@)?([^@:]+)(?::(\d+))?$/.exec(text) ?? [];
      return { host, user, port: port === undefined ? undefined : Number(port) };
    }),
]);

const shared = {
  ...login,
  host: login.host.optional(),
  /** Jump hosts, in the order of the connection. */
  proxy_jump: z
    .union([jumpSchema.transform((one) => [one]), z.array(jumpSchema).max(8)])
    .optional(),
  gpus: z
    .strictObject({
      count: z.int().min(0).max(64),
      type: z.string().min(1).max(64).default('GPU'),
      /** GiB of each GPU. */
      memory_gb: z.number().positive().max(100_000),
    })
    .optional(),
  cpus: z.int().min(1).max(4096).optional(),
  memory_gb: z.number().positive().max(1_000_000).optional(),
  /** Folder on the host; a relative path is below the user's home. */
  workdir: z
    .string()
    .regex(
      /^(?!.*(^|\/)\.\.(\/|$))[A-Za-z0-9_/.][A-Za-z0-9_/. -]{0,200}$/,
      'expected a path without ".."',
    )
    .optional(),
  /** Lines of a known_hosts file, or the path of such a file on this machine. */
  known_hosts: z.string().max(100_000).optional(),
  labels: z.record(z.string().max(64), z.string().max(256)).optional(),
};

/**
 * Matches the cluster's own nodes and node set, and words that slurm.conf(5) reserves. With such a
 * name slurmctld would not start, or the host would be in no partition.
 */
const takenName = /^(box0|worker\d+|workers|all|default|localhost)$/;

const hostSchema = z.strictObject({
  /** Slurm's name of the host. */
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,30}$/, 'expected lower-case letters, digits and - such as gpu-0')
    .refine(
      (name) => !takenName.test(name),
      'expected another name: Slurm or this cluster uses box0, worker1 and so on, workers, all, default and localhost',
    ),
  ...shared,
});

const fileSchema = z.strictObject({
  /** Values for every host that does not set its own. */
  defaults: z.strictObject(shared).default({}),
  hosts: z.array(hostSchema).max(500),
});

/** Address and user of a login. */
export interface Login {
  host: string;
  port: number;
  user: string;
  identity_file: string | undefined;
  password_variable: string | undefined;
}

/** A machine that is reached over SSH and is in Slurm's partition `ssh`. */
export interface SshHost extends Login {
  name: string;
  proxy_jump: Login[];
  gpus: { count: number; type: string; memory_gb: number };
  cpus: number;
  memory_gb: number;
  workdir: string;
  known_hosts: string | undefined;
  labels: Record<string, string>;
}

/** An error in the file of SSH hosts; the message is one line with the position and the remedy. */
export class HostsFileError extends Error {
  override readonly name = 'HostsFileError';
}

/**
 * Reads the file of SSH hosts.
 * @throws HostsFileError
 */
export function parseHosts(text: string): SshHost[] {
  const document = parseDocument(text.replace(/^\uFEFF/, ''), { merge: false });
  const [fault] = document.errors;
  if (fault) throw new HostsFileError(fault.message.split('\n')[0] ?? 'is not YAML');
  visit(document, {
    // A few lines of aliases can expand to gigabytes.
    Node: (_key, node) => {
      if (isAlias(node))
        throw new HostsFileError('YAML aliases are not allowed; write the value out');
    },
  });
  const content: unknown = document.toJS() ?? { hosts: [] };
  const parsed = parseKnown(fileSchema, content);
  if (!parsed.success) throw new HostsFileError(problemIn(content, parsed.error));
  const { defaults, hosts } = parsed.data;
  const seen = new Set<string>();
  return hosts.map((own) => {
    if (seen.has(own.name)) throw new HostsFileError(`hosts: ${own.name} is listed twice`);
    seen.add(own.name);
    const host = { ...defaults, ...own };
    if (host.host === undefined) throw new HostsFileError(`hosts.${own.name}.host: is missing`);
    return {
      name: own.name,
      ...loginOf({ ...host, host: host.host }, own.name),
      proxy_jump: (host.proxy_jump ?? []).map((jump) =>
        loginOf({ ...jump, identity_file: jump.identity_file ?? host.identity_file }, own.name),
      ),
      gpus: host.gpus ?? { count: 0, type: 'GPU', memory_gb: 1 },
      cpus: host.cpus ?? 1,
      memory_gb: host.memory_gb ?? 4,
      workdir: host.workdir ?? 'jobrunner',
      known_hosts: host.known_hosts,
      labels: host.labels ?? {},
    };
  });
}

/** Describes the first problem; names its host, whose position in the list nobody counts. */
function problemIn(content: unknown, error: z.ZodError): string {
  const [issue] = error.issues;
  const [list, index, ...rest] = issue?.path ?? [];
  if (issue === undefined || list !== 'hosts' || typeof index !== 'number')
    return firstProblem(error);
  const named = z.object({ hosts: z.array(z.unknown()) }).safeParse(content);
  const host = z.object({ name: z.string() }).safeParse(named.data?.hosts[index]);
  const name = host.data?.name.replace(/[^ -~]+/g, ' ').slice(0, 64) ?? '';
  // The message of an unknown key repeats its place.
  const message = issue.message.replaceAll(`hosts.${index}.`, '');
  if (name === '') return issueText({ path: [`host ${index + 1} of the list`, ...rest], message });
  return issueText({ path: ['hosts', name, ...rest], message });
}

/**
 * Returns whether the file holds nothing, or comments alone: as an editor leaves it for a moment. A
 * file without hosts says `hosts: []`.
 */
export function isEmptyHostsFile(text: string): boolean {
  return (parseDocument(text).toJS() ?? null) === null;
}

function loginOf(
  given: {
    host: string;
    port?: number | undefined;
    user?: string | undefined;
    identity_file?: string | undefined;
    password_variable?: string | undefined;
  },
  name: string,
): Login {
  if (given.user === undefined)
    throw new HostsFileError(`hosts.${name}.user: is missing, for ${given.host}`);
  return {
    host: given.host,
    port: given.port ?? 22,
    user: given.user,
    identity_file: given.identity_file,
    password_variable: given.password_variable,
  };
}
