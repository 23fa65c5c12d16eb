import { X509Certificate, randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { digestOf, formatJoinToken } from '../../config/join-token.js';
import type { Layout } from '../../config/layout.js';
import { privateFile } from '../daemons/folders.js';

export interface JoinFiles {
  certificate: string;
  key: string;
  /** Read anew each time: it may have been replaced. */
  secret(): string;
}

/** The join port's certificate, made once, and the secret that workers join with. To be called by root. */
export async function openJoinFiles(layout: Pick<Layout, 'join'>): Promise<JoinFiles> {
  const folder = layout.join;
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o700);
  const [certificate, key, secret] = ['cert.pem', 'key.pem', 'secret'].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  if (!existsSync(certificate)) {
    const made = `${certificate}.new`;
    await execa('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      // Workers know the certificate itself: neither its name nor its date says anything to them.
      ...['-days', '36500', '-subj', '/CN=jobrunner', '-keyout', key, '-out', made],
    ]);
    renameSync(made, certificate);
  }
  if (!existsSync(secret)) renewSecret(layout);
  return {
    certificate: readFileSync(certificate, 'utf8'),
    key: readFileSync(key, 'utf8'),
    secret: () => readFileSync(secret, 'utf8').trim(),
  };
}

/** Workers that have joined stay; no other can join with the old one. */
export function renewSecret({ join: folder }: Pick<Layout, 'join'>): void {
  const path = join(folder, 'secret');
  writeFileSync(`${path}.new`, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** Leaves the join token in a file that root alone can read. */
export function writeJoinToken(path: string, files: JoinFiles): void {
  privateFile(path, `${joinTokenOf(files)}\n`, 0o600, { uid: 0, gid: 0 });
}

export function joinTokenOf(files: JoinFiles): string {
  const fingerprint = digestOf(new X509Certificate(files.certificate).raw);
  return formatJoinToken({ fingerprint, secret: files.secret() });
}
