import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { packageRoot } from '../../../config/package-root.js';
import type { Login, SshHost } from '../../../cluster/ssh-hosts/hosts.js';
import type { ResolvedHost, ResolvedLogin } from '../../../cluster/ssh-hosts/resolved-hosts.js';
import { passwordEnvironment, sshAlias, writeSshConfig, type SshSettings } from '../ssh/config.js';

/** Seconds in which a host has to answer. */
const patienceSeconds = 40;

/** A folder of our own for ssh while root checks hosts; the keys are read from their own places. */
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
  #passwordCount = 0;

  constructor(knownHosts: string, passwords: Readonly<Record<string, string>>) {
    this.#passwords = passwords;

    writeFileSync(this.knownHosts, knownHosts, { mode: 0o600 });
  }

  /**
   * Calls ssh.
   * @param options of ssh, for the last machine on the way
   * @param command for the shell there
   */
  async call(host: SshHost, options: readonly string[], command: string, input = '') {
    const resolved = this.#resolve(host);
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

  #resolve(host: SshHost): ResolvedHost {
    const { name, gpus, cpus, memory_gb, workdir, labels } = host;
    return {
      ...this.#login(host),
      proxy_jump: host.proxy_jump.map((jump) => this.#login(jump)),
      name,
      gpus,
      cpus,
      memory_gb,
      workdir,
      labels,
      leaving: false,
    };
  }

  #login(login: Login): ResolvedLogin {
    const { host, port, user, identity_file: identity, password_variable: variable } = login;
    const password = variable === undefined ? undefined : this.#passwords[variable];
    let passwordPath: string | null = null;
    if (password !== undefined) {
      passwordPath = join(this.#folder, `${++this.#passwordCount}.password`);
      writeFileSync(passwordPath, password, { mode: 0o600 });
    }
    return { host, port, user, identity_path: identity ?? null, password_path: passwordPath };
  }
}
