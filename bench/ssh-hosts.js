import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { freePorts } from '../test/free-ports.js';
import { searchPath } from './requirements.js';

/**
 * SSH hosts on loopback: each has an sshd with its own port, host key and working folder. All share
 * one Unix user, which is created and removed with them.
 */
export class SshHosts {
  /**
   * @param {import('./workspace.js').Workspace} workspace
   * @param {string} folder
   * @param {string} user
   * @param {number[]} ports
   */
  constructor(workspace, folder, user, ports) {
    this.workspace = workspace;
    this.user = user;
    this.ports = ports;
    this.folder = folder;
    /** For ssh and scp: the same key and known hosts as in JobRunner's own ssh_config. */
    this.sshConfig = join(folder, 'ssh_config');
    /** Path for JR_SSH_NODES. */
    this.nodesFile = join(folder, 'nodes.json');
  }

  /**
   * @param {import('./workspace.js').Workspace} workspace
   * @param {number} count
   * @param {{ cpus: number, gpus: number }} each resources of each host
   */
  static async start(workspace, count, each) {
    workspace.say(`  starting ${count} sshd`);
    const folder = await workspace.folder('ssh');
    const user = `jrbench${process.pid}`;
    const hosts = new SshHosts(workspace, folder, user, await freePorts(count));
    const home = join(folder, 'home');
    await workspace.run('useradd', [
      ...['--no-log-init', '--password', '*', '--shell', '/bin/bash'],
      ...['--create-home', '--home-dir', home, user],
    ]);
    workspace.defer(() => hosts.#removeUser());
    await hosts.#makeKeys();
    // Folder for privilege separation, fixed when sshd was built.
    await mkdir('/run/sshd', { recursive: true });
    await Promise.all(hosts.ports.map((port) => hosts.#startServer(port)));
    await hosts.#writeConfigurations(each);
    return hosts;
  }

  /** @param {number} i */
  nameOf(i) {
    return `bench-${i}`;
  }

  /** Returns the working folder of a host. @param {number} i */
  workdirOf(i) {
    return join(this.folder, 'home', this.nameOf(i));
  }

  /** @param {string} what @param {number} [port] */
  #path(what, port) {
    return join(this.folder, port === undefined ? what : `${what}-${port}`);
  }

  async #makeKeys() {
    const keys = [this.#path('id'), ...this.ports.map((port) => this.#path('host_key', port))];
    for (const key of keys)
      await this.workspace.run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    await copyFile(this.#path('id.pub'), this.#path('authorized_keys'));
  }

  /** @param {number} port */
  async #startServer(port) {
    const config = this.#path('sshd_config', port);
    const lines = [
      `ListenAddress 127.0.0.1:${port}`,
      `HostKey ${this.#path('host_key', port)}`,
      'PidFile none',
      'UsePAM no',
      'StrictModes no',
      `AllowUsers ${this.user}`,
      `AuthorizedKeysFile ${this.#path('authorized_keys')}`,
      'Subsystem sftp internal-sftp',
    ];
    await writeFile(config, `${lines.join('\n')}\n`);
    const sshd = String((await this.workspace.run('sh', ['-c', 'command -v sshd'])).stdout);
    const child = spawn(sshd, ['-D', '-e', '-f', config], {
      // A session of its own, so that Ctrl-C reaches only us, and we stop it.
      detached: true,
      env: { PATH: searchPath },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.workspace.defer(async () => {
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    });
    let said = '';
    await new Promise((fulfil, reject) => {
      child.stderr.on('data', (chunk) => {
        said = (said + String(chunk)).slice(-10_000);
        if (said.includes('Server listening')) fulfil(undefined);
      });
      child.once('error', reject);
      child.once('close', (code) => reject(new Error(`sshd ended with ${code}: ${said}`)));
    });
  }

  /** @param {{ cpus: number, gpus: number }} each */
  async #writeConfigurations({ cpus, gpus }) {
    const known = await Promise.all(
      this.ports.map(async (port) => {
        const [type, key] = (await readFile(`${this.#path('host_key', port)}.pub`, 'utf8')).split(
          ' ',
        );
        return `[127.0.0.1]:${port} ${type} ${key}`;
      }),
    );
    await writeFile(this.#path('known_hosts'), `${known.join('\n')}\n`);
    const blocks = this.ports.map((port, i) => `Host ${this.nameOf(i)}\n  Port ${port}`);
    const all = [
      'Host *',
      '  HostName 127.0.0.1',
      `  User ${this.user}`,
      `  IdentityFile ${this.#path('id')}`,
      '  IdentitiesOnly yes',
      '  BatchMode yes',
      '  StrictHostKeyChecking yes',
      `  UserKnownHostsFile ${this.#path('known_hosts')}`,
    ];
    await writeFile(this.sshConfig, `${[...blocks, ...all].join('\n')}\n`);
    // YAML is a superset of JSON.
    const nodes = {
      defaults: {
        host: '127.0.0.1',
        user: this.user,
        identity_file: this.#path('id'),
        known_hosts: known.join('\n'),
        gpus: { count: gpus, type: 'H100', memory_gb: 80 },
        cpus,
        memory_gb: 64,
      },
      hosts: this.ports.map((port, i) => ({
        name: this.nameOf(i),
        port,
        workdir: this.workdirOf(i),
      })),
    };
    await writeFile(this.nodesFile, JSON.stringify(nodes, null, 2), { mode: 0o600 });
  }

  /** Ends leftover jobs, which survive their connection, and removes the user. */
  async #removeUser() {
    // Not through the workspace's `run`: cleaning up must also work after an early stop.
    const options = { env: { PATH: searchPath } };
    // Fails when no process is left.
    while (
      !(await execa('pkill', ['-KILL', '-u', this.user], { ...options, reject: false })).failed
    )
      await delay(20);
    await execa('userdel', [this.user], options);
  }
}
