import { X509Certificate, randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { digestOf, formatJoinToken } from '../../config/join-token.js';
import type { Layout } from '../../config/layout.js';
import { privateFile } from '../daemons/folders.js';
import type { Owner } from '../daemons/unix-users.js';

type JoinLayout = Pick<Layout, 'join' | 'joinCertificate' | 'joinKey'>;

export interface JoinFiles {
  certificate: string;
  /** Reads the secret anew at each call: it may have been replaced. */
  secret(): string;
}

/**
 * Opens the join port's certificate and the workers' join secret; makes missing ones. Needs root.
 * @param owner the join port's user, who reads the key but not the secret
 */
export async function openJoinFiles(layout: JoinLayout, owner: Owner): Promise<JoinFiles> {
  const { join: folder, joinCertificate: certificate, joinKey: key } = layout;
  const secret = join(folder, 'secret');
  mkdirSync(folder, { recursive: true });
  chownSync(folder, 0, owner.gid);
  chmodSync(folder, 0o750);
  if (!existsSync(certificate)) {
    const made = `${certificate}.new`;
    await execa('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      // Workers know the certificate itself, so they ignore its name and date.
      ...['-days', '36500', '-subj', '/CN=jobrunner', '-keyout', key, '-out', made],
    ]);
    renameSync(made, certificate);
  }
  chownSync(key, 0, owner.gid);
  chmodSync(key, 0o640);
  if (!existsSync(secret)) renewSecret(layout);
  return {
    certificate: readFileSync(certificate, 'utf8'),
    secret: () => readFileSync(secret, 'utf8').trim(),
  };
}

/** Replaces the secret. Workers that have joined stay; no other can join with the old secret. */
export function renewSecret({ join: folder }: Pick<Layout, 'join'>): void {
  const path = join(folder, 'secret');
  writeFileSync(`${path}.new`, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** Writes the join token to a file that only root can read. */
export function writeJoinToken(path: string, files: JoinFiles): void {
  privateFile(path, `${joinTokenOf(files)}\n`, 0o600, { uid: 0, gid: 0 });
}

export function joinTokenOf(files: JoinFiles): string {
  const fingerprint = digestOf(new X509Certificate(files.certificate).raw);
  return formatJoinToken({ fingerprint, secret: files.secret() });
}
