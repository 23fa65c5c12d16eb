import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SshProcessConfig } from '../../config/ssh.js';
import type { Layout } from '../../config/layout.js';
import { packageRoot } from '../../config/package-root.js';
import { hostsRecordSchema, type HostsRecord } from '../../cluster/ssh-hosts/resolved-hosts.js';
import { hostsStatusSchema, type HostStatus } from '../../cluster/ssh-hosts/hosts-status.js';
import type { SshSettings } from './ssh/config.js';

/** Reads the SSH hosts as root has checked them. */
export function readHosts(layout: Layout): HostsRecord {
  return hostsRecordSchema.parse(JSON.parse(readFileSync(layout.sshHosts, 'utf8')));
}

/** Reads the watch's last status of a host; undefined before its first. */
export function readStatus(layout: Layout, name: string): HostStatus | undefined {
  if (!existsSync(layout.sshStatus)) return undefined;
  const { hosts } = hostsStatusSchema.parse(JSON.parse(readFileSync(layout.sshStatus, 'utf8')));
  return hosts.find((host) => host.name === name);
}

/** Makes the settings of ssh. @param scratch see {@link makeScratch} */
export function sshSettings(
  config: SshProcessConfig,
  layout: Layout,
  scratch: string,
): SshSettings {
  return {
    scratch,
    knownHosts: layout.sshKnownHosts,
    askpass: join(packageRoot, 'libexec', 'ssh-askpass.sh'),
    aliveSeconds: config.aliveSeconds,
  };
}
