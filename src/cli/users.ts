import { text } from 'node:stream/consumers';
import * as replies from '../auth/replies.js';
import type { Api } from './api.js';
import { CliError } from './cli-error.js';
import { confirm } from './confirm.js';
import { plain, say, table } from './terminal.js';

interface Format {
  json?: boolean;
}

/**
 * Creates a token. @param token chosen by the user; `-` reads it from stdin, which `ps` does not
 * show
 */
export async function createToken(
  api: Api,
  user: string,
  token: string | undefined,
  options: Format & { days: number; role: string },
): Promise<void> {
  const { days, role } = options;
  const given = await tokenFrom(token);
  const body = { user, days, role, ...(given !== undefined && { token: given }) };
  const made = await api.post('/tokens', body, replies.newTokenReplySchema);
  if (options.json) {
    say(JSON.stringify(made, null, 2));
    return;
  }
  const until = made.expires_at === null ? 'never expires' : `expires ${day(made.expires_at)}`;
  say(
    `Token ${made.token_id} of ${plain(made.user)} (${plain(made.role)}, ${until}), shown only once:`,
  );
  say(plain(made.token));
}

export async function listTokens(api: Api, { json }: Format): Promise<void> {
  const reply = await api.get('/tokens', replies.tokensReplySchema);
  const head = ['ID', 'USER', 'ROLE', 'STATE', 'CREATED', 'EXPIRES', 'LAST USED'];
  const rows = reply.tokens.map((one) => [
    String(one.token_id),
    plain(one.user),
    plain(one.role),
    plain(one.state),
    day(one.created_at),
    one.expires_at === null ? 'never' : day(one.expires_at),
    one.last_used_at === null ? 'never' : minute(one.last_used_at),
  ]);
  if (json) say(JSON.stringify(reply, null, 2));
  else say(rows.length === 0 ? 'no tokens except JR_AUTH_TOKEN' : table([head, ...rows]));
}

/** Revokes a token. @param which its number, or the token itself; `-` reads it from stdin */
export async function revokeToken(api: Api, which: string): Promise<void> {
  const gone = /^\d{1,7}$/.test(which)
    ? await api.delete(`/tokens/${which}`, replies.tokenReplySchema)
    : await api.post('/tokens/revoke', { token: await tokenFrom(which) }, replies.tokenReplySchema);
  say(`Token ${gone.token_id} of ${plain(gone.user)} is revoked and no longer valid`);
}

export async function listUsers(api: Api, { json }: Format): Promise<void> {
  const reply = await api.get('/users', replies.usersReplySchema);
  const of = (used: number | string, max: number | string) =>
    max === 0 ? String(used) : `${used} of ${max}`;
  const head = ['USER', 'JOBS', 'RUNNING', 'GPUS AT ONCE', 'STORED', 'RUNS AS'];
  const rows = reply.users.map(
    ({ user, unix_user: runsAs, jobs, running, stored_bytes: stored, limits }) => [
      plain(user),
      of(jobs, limits.max_jobs),
      of(running, limits.max_running),
      limits.max_gpus === 0 ? 'any' : String(limits.max_gpus),
      of(gib(stored), limits.max_stored_bytes === 0 ? 0 : gib(limits.max_stored_bytes)),
      plain(runsAs ?? '-'),
    ],
  );
  say(json ? JSON.stringify(reply, null, 2) : table([head, ...rows]));
}

export interface LimitOptions {
  yes?: boolean;
  jobs?: number;
  running?: number;
  gpus?: number;
  storedGb?: number;
}

/**
 * Sets limits of several users. Asks first where one is unknown, since the name may be misspelt.
 */
export async function limitUsers(
  api: Api,
  users: readonly string[],
  options: LimitOptions,
): Promise<void> {
  const { jobs, running, gpus, storedGb } = options;
  if ([jobs, running, gpus, storedGb].every((limit) => limit === undefined))
    throw new CliError('name a limit: --jobs, --running, --gpus or --stored-gb (0 = no limit)');
  const body = {
    max_jobs: jobs,
    max_running: running,
    max_gpus: gpus,
    max_stored_bytes: storedGb === undefined ? undefined : Math.floor(storedGb * 1024 ** 3),
  };
  if (!options.yes) await confirmUnknown(api, users);
  for (const user of users) {
    const path = `/users/${encodeURIComponent(user)}/limits`;
    say(limitsInWords(await api.put(path, body, replies.userReplySchema)));
  }
}

async function confirmUnknown(api: Api, users: readonly string[]): Promise<void> {
  const known = (await api.get('/users', replies.usersReplySchema)).users.map(({ user }) => user);
  const unknown = users.filter((user) => !known.includes(user.toLowerCase()));
  if (unknown.length === 0) return;
  const names = unknown.map(plain).join(', ');
  await confirm(
    `No token, job or limit belongs to ${names}. Set the limits all the same?`,
    `no token, job or limit belongs to ${names}: check the name, or add --yes`,
  );
}

function limitsInWords({ user, limits }: replies.UserView): string {
  const told = (max: number | string) => (max === 0 ? 'any' : String(max));
  const stored = limits.max_stored_bytes === 0 ? 'any' : gib(limits.max_stored_bytes);
  return `${plain(user)}: ${told(limits.max_jobs)} jobs, ${told(limits.max_running)} running, ${told(limits.max_gpus)} GPUs at once, ${stored} stored`;
}

/** Deletes the tokens and limits of several users, after a question. */
export async function deleteUsers(
  api: Api,
  users: readonly string[],
  { yes }: { yes?: boolean },
): Promise<void> {
  const names = users.map(plain).join(', ');
  if (!yes)
    await confirm(
      `Delete all tokens and limits of ${names}?`,
      `this deletes all tokens and limits of ${names}: add --yes`,
    );
  for (const user of users) {
    const path = `/users/${encodeURIComponent(user)}`;
    const gone = await api.delete(path, replies.deletedUserReplySchema);
    say(`${plain(gone.user)} is deleted, with ${gone.tokens} tokens; ended jobs and outputs stay`);
  }
}

export async function showAudit(
  api: Api,
  { json, user, limit }: Format & { user?: string; limit: number },
): Promise<void> {
  const query = new URLSearchParams({ limit: String(limit), ...(user !== undefined && { user }) });
  const reply = await api.get(`/audit?${query.toString()}`, replies.auditReplySchema);
  const head = ['TIME (UTC)', 'USER', 'FROM', 'DID', 'WITH', 'STATUS'];
  const rows = reply.audit.map((one) => [
    one.at.slice(0, 19).replace('T', ' '),
    plain(one.user ?? '?'),
    plain(one.address),
    plain(`${one.method} ${one.path}`),
    plain(one.subject ?? '-'),
    one.times > 1 ? `${one.status} ×${one.times}` : String(one.status),
  ]);
  say(json ? JSON.stringify(reply, null, 2) : table([head, ...rows]));
}

async function tokenFrom(given: string | undefined): Promise<string | undefined> {
  return given === '-' ? (await text(process.stdin)).trim() : given;
}

function day(iso: string): string {
  return iso.slice(0, 10);
}

function minute(iso: string): string {
  return iso.slice(0, 16).replace('T', ' ');
}

function gib(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}
