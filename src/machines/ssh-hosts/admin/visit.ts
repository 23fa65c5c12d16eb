import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { packageRoot } from '../../../config/package-root.js';
import type { Login, SshHost } from '../../../cluster/ssh-hosts/hosts.js';
import type { ResolvedHost, ResolvedLogin } from '../../../cluster/ssh-hosts/resolved-hosts.js';
import { CredentialError, readIdentity } from '../identity-file.js';
import { passwordEnvironment, sshAlias, writeSshConfig, type SshSettings } from '../ssh/config.js';

/** Seconds in which a host has to answer. */
const patienceSeconds = 40;

/** A folder of our own for ssh while root checks hosts, with copies of the keys and passwords. */
export class Visit {
  readonly #passwords: Readonly<Record<string, string>>;

  readonly #folder = mkdtempSync(join(tmpdir(), 'jobrunner-ssh-'));
  readonly knownHosts = join(this.#folder, 'known_hosts');
  readonly #settings: SshSettings = {
    knownHosts: this.knownHosts,
    scratch: this.#folder,
    askpass: join(packageRoot, 'libexec', 'ssh-askpass.sh'),
    aliveSeconds: 5,
  };
  #fileCount = 0;
  readonly #keys = new Map<string, Promise<string>>();

  constructor(knownHosts: string, passwords: Readonly<Record<string, string>>) {
    this.#passwords = passwords;

    writeFileSync(this.knownHosts, knownHosts, { mode: 0o600 });
  }

  /**
   * Calls ssh. @throws CredentialError for a key or password that ssh cannot use
   * @param options of ssh, for the last machine on the way
   * @param command for the shell there
   */
  async call(host: SshHost, options: readonly string[], command: string, input = '') {
    const resolved = await this.#resolve(host);
    const { path } = writeSshConfig(resolved, this.#settings);
    const result = await execa('ssh', ['-F', path, ...options, sshAlias(resolved), command], {
      input,
      reject: false,
      timeout: patienceSeconds * 1000,
      env: {
        PATH: '/usr/local/bin:/usr/bin:/bin',
        LC_ALL: 'C',
        SHELL: '/bin/sh',
        ...passwordEnvironment(resolved.password_path, this.#settings),
      },
      extendEnv: false,
      cwd: '/',
    });
    const code = result.timedOut ? null : (result.exitCode ?? null);
    return { resolved, code, stdout: result.stdout, stderr: result.stderr };
  }

  close(): void {
    rmSync(this.#folder, { recursive: true });
  }

  async #resolve(host: SshHost): Promise<ResolvedHost> {
    const { name, gpus, cpus, memory_gb, workdir, labels } = host;
    return {
      ...(await this.#login(host)),
      proxy_jump: await Promise.all(host.proxy_jump.map((jump) => this.#login(jump))),
      name,
      gpus,
      cpus,
      memory_gb,
      workdir,
      labels,
      leaving: false,
    };
  }

  async #login(login: Login): Promise<ResolvedLogin> {
    const { host, port, user, identity_file: identity, password_variable: variable } = login;
    const password = variable === undefined ? undefined : this.#passwords[variable];
    if (variable !== undefined && password === undefined)
      throw new CredentialError(`${variable} is not set; set it in this command’s environment`);
    let passwordPath: string | null = null;
    if (password !== undefined) {
      passwordPath = this.#newFile('password');
      writeFileSync(passwordPath, password, { mode: 0o600 });
    }
    const identityPath = identity === undefined ? null : await this.#keyAt(identity);
    return { host, port, user, identity_path: identityPath, password_path: passwordPath };
  }

  /** Copies a key, as the service does: ssh refuses one that other users may read. */
  #keyAt(path: string): Promise<string> {
    const known = this.#keys.get(path);
    if (known !== undefined) return known;
    const copied = readIdentity(path).then((key) => {
      const copy = this.#newFile('key');
      writeFileSync(copy, key, { mode: 0o600 });
      return copy;
    });
    this.#keys.set(path, copied);
    return copied;
  }

  #newFile(kind: string): string {
    return join(this.#folder, `${++this.#fileCount}.${kind}`);
  }
}
