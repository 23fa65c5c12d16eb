import { renameSync, writeFileSync } from 'node:fs';
import pLimit from 'p-limit';
import { pino, type Logger } from 'pino';
import { abortWith } from '../../../abort.js';
import { sleep } from '../../../every.js';
import { ConfigError } from '../../../config/config-error.js';
import type { SshProcessConfig } from '../../../config/ssh.js';
import type { Layout } from '../../../config/layout.js';
import { SlurmError } from '../../../cluster/slurm/command.js';
import type { HostStatus } from '../../../cluster/ssh-hosts/hosts-status.js';
import { readInstallationId } from '../installation.js';
import { readHosts, sshSettings } from '../read-hosts.js';
import { makeScratch, sweepScratch } from '../scratch.js';
import { SshError } from '../ssh/errors.js';
import { HostWatch } from './host-watch.js';
import { liveStarts } from './live-starts.js';
import { sweep, type SweepParts } from './sweep.js';
import type { SshSettings } from '../ssh/config.js';

/** More hosts at once would be a burst of logins for a jump host that they share. */
const hostsAtOnce = 8;
const lookMs = 60_000;
/** A job may leave millions of files. */
const sweepMs = 600_000;

/**
 * Watches the SSH hosts until SIGTERM: writes to `remote/status/hosts.json` which can take jobs,
 * and removes ended jobs' leftovers from them.
 * @throws ConfigError
 */
export async function watchSshHosts(config: SshProcessConfig, layout: Layout): Promise<void> {
  const { slurmConf } = config;
  if (slurmConf === undefined)
    throw new ConfigError('SLURM_CONF: not set; only the stack runs this command');
  const log = pino();
  const stopping = new AbortController();
  const stop = () => {
    stopping.abort(new Error('the watch ends'));
  };
  process.on('SIGTERM', stop).on('SIGINT', stop);
  const parts: SweepParts = {
    installation: readInstallationId(layout.sshInstallation),
    datasets: layout.datasets,
    live: () => liveStarts(slurmConf),
  };
  sweepScratch(layout.sshState);
  const scratch = makeScratch(layout.sshState);
  const settings = sshSettings(config, layout, scratch.path);
  const watches = new Map<string, HostWatch>();
  const { signal } = stopping;
  while (!signal.aborted) {
    await round(settings, layout, watches, parts, signal, log);
    await sleep(config.watchSeconds * 1000, signal);
  }
  for (const watch of watches.values()) watch.close();
  scratch.remove();
}

async function round(
  settings: SshSettings,
  layout: Layout,
  watches: Map<string, HostWatch>,
  parts: SweepParts,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  follow(settings, layout, watches);
  const limit = pLimit(hostsAtOnce);
  const looks = [...watches.values()].map((watch) =>
    limit(async () => {
      const was = watch.status?.ok;
      try {
        const link = await within(lookMs, watch, signal, (limited) => watch.look(limited));
        // Write it at once: another host may keep us waiting.
        writeStatus(layout, watches);
        if (link === undefined) return;
        const swept = within(sweepMs, watch, signal, (limited) => sweep(link, parts, limited));
        for (const what of await swept)
          log.info({ host: watch.host.name, what }, 'removed leftovers from an SSH host');
      } catch (error) {
        if (signal.aborted) return;
        // The next round follows.
        if (!(error instanceof SshError) && !(error instanceof SlurmError))
          log.error({ err: error, host: watch.host.name }, 'watching an SSH host failed');
        else log.warn({ err: error, host: watch.host.name }, 'an SSH host was not swept');
      } finally {
        const { status } = watch;
        if (status !== undefined && status.ok !== was)
          log.info(
            { host: watch.host.name, reason: status.reason },
            status.ok ? 'an SSH host is well' : 'an SSH host is not well',
          );
      }
    }),
  );
  await Promise.all(looks);
}

/**
 * Limits the time of one host, so that it cannot delay the others: one whose disk hangs still
 * answers keep-alive messages.
 */
async function within<T>(
  ms: number,
  { host }: HostWatch,
  signal: AbortSignal,
  work: (limited: AbortSignal) => Promise<T>,
): Promise<T> {
  const limited = new AbortController();
  const release = abortWith(limited, signal);
  const timer = setTimeout(() => {
    limited.abort(
      new SshError('unreachable', `SSH host ${host.name}: does not answer within ${ms / 1000} s`),
    );
  }, ms);
  try {
    return await work(limited.signal);
  } finally {
    clearTimeout(timer);
    release();
  }
}

/** Starts watching new and changed hosts, and stops watching those that are gone. */
function follow(settings: SshSettings, layout: Layout, watches: Map<string, HostWatch>): void {
  const { hosts } = readHosts(layout);
  const wanted = new Map(hosts.map((host) => [host.name, host]));
  for (const [name, watch] of watches)
    if (JSON.stringify(watch.host) !== JSON.stringify(wanted.get(name))) {
      watch.close();
      watches.delete(name);
    }
  for (const [name, host] of wanted)
    if (!watches.has(name)) watches.set(name, new HostWatch(host, settings, Date.now));
}

function writeStatus(layout: Layout, watches: Map<string, HostWatch>): void {
  const hosts = [...watches.values()]
    .map(({ status }) => status)
    .filter((status): status is HostStatus => status !== undefined);
  const fresh = `${layout.sshStatus}.new`;
  writeFileSync(fresh, JSON.stringify({ hosts }), { mode: 0o640 });
  renameSync(fresh, layout.sshStatus);
}
