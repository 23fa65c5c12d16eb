import { spawn, execFileSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, closeSync, existsSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { execa } from 'execa';
import { freePorts } from '../free-ports.js';
import { makeRoot } from './prepared-root.js';
import { configFiles, usualPlan, type ClusterPlan, type ClusterPorts } from './external-plan.js';
import { until } from '../until.js';

const numberOf = (flag: '-u' | '-g', user: string) =>
  Number(execFileSync('id', [flag, user], { encoding: 'utf8' }));

/** Files that stand for GPUs. */
const gpuFiles = 5;

/** A Slurm with slurmrestd, run without any part of JobRunner. */
export class ExternalCluster {
  readonly #ports: ClusterPorts;
  readonly #plan: ClusterPlan;

  readonly #running = new Map<string, ChildProcess>();

  private constructor(
    readonly root: string,
    ports: ClusterPorts,
    plan: ClusterPlan,
  ) {
    this.#ports = ports;
    this.#plan = plan;
  }

  static async start(plan: ClusterPlan = usualPlan): Promise<ExternalCluster> {
    const [ctld = 0, dbd = 0, rest = 0, ...nodes] = await freePorts(3 + plan.nodes.length);
    const cluster = new ExternalCluster(await makeRoot(), { ctld, dbd, rest, nodes }, plan);
    try {
      await cluster.#up();
    } catch (error) {
      await cluster.remove();
      throw error;
    }
    return cluster;
  }

  get slurmConf(): string {
    return join(this.root, 'slurm.conf');
  }

  get restUrl(): string {
    return `http://127.0.0.1:${this.#ports.rest}`;
  }

  get restSocket(): string {
    return join(this.root, 'rest-run', 'socket');
  }

  /** Runs one of the cluster's commands as root. @returns its output */
  async command(name: string, ...args: string[]): Promise<string> {
    const env = { PATH: '/usr/bin:/bin:/usr/sbin', SLURM_CONF: this.slurmConf };
    return (await execa(name, args, { env, extendEnv: false })).stdout;
  }

  #answers(name: string, ...args: string[]): Promise<boolean> {
    return this.command(name, ...args).then(
      () => true,
      () => false,
    );
  }

  /** @param lifespan in seconds */
  async token(user: string, lifespan = 3600): Promise<string> {
    const printed = await this.command(
      'scontrol',
      'token',
      `username=${user}`,
      `lifespan=${lifespan}`,
    );
    return printed.replace(/^SLURM_JWT=/, '');
  }

  async startController(): Promise<void> {
    this.#launch('slurmctld', 'slurm', ['slurmctld', '-D', '-f', this.slurmConf]);
    await until('slurmctld answers', () => this.#answers('scontrol', 'ping'));
  }

  async startRest(): Promise<void> {
    const listen = [`127.0.0.1:${this.#ports.rest}`, `unix:${this.restSocket}`];
    await rm(this.restSocket, { force: true });
    // 22.05 does not start with a plugin for missing accounting; later versions leave it out by
    // themselves.
    const isOld = (await this.command('slurmrestd', '-V')).includes(' 22.05');
    const plugins = isOld && !this.#plan.hasAccounting ? ['-s', 'v0.0.38'] : [];
    const command = [
      'slurmrestd',
      '-f',
      this.slurmConf,
      '-a',
      'rest_auth/jwt',
      ...plugins,
      ...listen,
    ];
    // Every request brings a token; slurmrestd has no usable one itself.
    this.#launch('slurmrestd', 'nobody', command, { SLURM_JWT: 'daemon' });
    await until('slurmrestd answers', () =>
      fetch(`${this.restUrl}/openapi/v3`).then(
        () => true,
        () => false,
      ),
    );
    // Anyone who can write to the socket may ask; only the token counts.
    await chmod(this.restSocket, 0o666);
  }

  /** Sets how soon slurmctld forgets ended jobs. @param seconds 300 by default */
  async rememberFor(seconds: number): Promise<void> {
    const conf = await readFile(this.slurmConf, 'utf8');
    const others = conf.replace(/^MinJobAge=.*\n/m, '');
    await writeFile(this.slurmConf, `${others}MinJobAge=${seconds}\n`);
    await this.command('scontrol', 'reconfigure');
  }

  async stop(name: string): Promise<void> {
    const child = this.#running.get(name);
    this.#running.delete(name);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await exited;
  }

  async remove(): Promise<void> {
    // Jobs that a failed test left running would outlive their slurmd.
    const jobs = () => this.command('squeue', '-hao', '%i');
    if (this.#running.has('slurmctld') && (await this.#answers('scontrol', 'ping'))) {
      for (const id of (await jobs()).split('\n').filter((line) => line !== ''))
        await this.#answers('scancel', id);
      await until('no job is left', async () => (await jobs()) === '');
    }
    await this.stop('slurmrestd');
    for (const { name } of this.#plan.nodes) await this.stop(`slurmd-${name}`);
    for (const name of ['slurmctld', 'slurmdbd']) await this.stop(name);
    await this.stop('mariadb');
    await this.stop('munged');
    await rm(this.root, { recursive: true, force: true });
  }

  async #up(): Promise<void> {
    const { root } = this;
    for (const [name, owner] of [
      ['munge', 'munge'],
      ['munge-run', 'munge'],
      ['mysql', 'mysql'],
      ['mysql-run', 'mysql'],
      ['state', 'slurm'],
      ['spool', 'root'],
      ['log', 'root'],
      ['rest-run', 'nobody'],
    ] as const) {
      mkdirSync(join(root, name), { mode: 0o755 });
      chownSync(join(root, name), numberOf('-u', owner), numberOf('-g', owner));
    }
    this.#configure();
    const socket = join(root, 'munge-run', 'socket');
    this.#launch('munged', 'munge', [
      ...['munged', '--foreground', '--force', `--key-file=${root}/munge/key`],
      ...[`--seed-file=${root}/munge/seed`, `--socket=${socket}`],
      ...[`--pid-file=${root}/munge/pid`, `--log-file=${root}/munge/log`],
    ]);
    if (this.#plan.hasAccounting) await this.#makeAccounting();
    await this.startController();
    for (const { name } of this.#plan.nodes)
      this.#launch(`slurmd-${name}`, 'root', ['slurmd', '-D', '-N', name, '-f', this.slurmConf]);
    await this.startRest();
    const states = () => this.command('sinfo', '-hN', '-o', '%T');
    await until('all nodes are idle', async () => /^(idle\n?)+$/.test(await states()));
  }

  async startAccounting(): Promise<void> {
    this.#launch('slurmdbd', 'slurm', ['slurmdbd', '-D'], {
      MYSQL_UNIX_PORT: `${this.root}/mysql-run/sock`,
    });
    await until('slurmdbd answers', () => this.#answers('sacctmgr', '-n', 'list', 'cluster'));
  }

  async #makeAccounting(): Promise<void> {
    const { root } = this;
    await execa('mysql_install_db', [
      ...['--no-defaults', '--user=mysql', `--datadir=${root}/mysql`],
      ...['--auth-root-authentication-method=socket', '--skip-test-db'],
    ]);
    this.#launch('mariadb', 'mysql', [
      ...['mariadbd', '--no-defaults', `--datadir=${root}/mysql`, '--skip-networking'],
      ...[`--socket=${root}/mysql-run/sock`, `--pid-file=${root}/mysql-run/pid`],
      ...[`--tmpdir=${root}/mysql-run`, `--init-file=${process.cwd()}/slurm/accounting.sql`],
      ...['--performance-schema=OFF', '--innodb-buffer-pool-size=32M'],
    ]);
    await until('MariaDB answers', () => existsSync(`${root}/mysql-run/sock`));
    await this.startAccounting();
    await this.command('sacctmgr', '-i', 'add', 'cluster', 'campus');
    await this.command('sacctmgr', '-i', 'add', 'account', 'phys,bio');
    await this.command('sacctmgr', '-i', 'add', 'user', 'jobrunner,runner', 'account=bio');
    await this.command('sacctmgr', '-i', 'add', 'user', 'jobrunner,runner', 'account=phys');
  }

  #configure(): void {
    const { root } = this;
    const own = (name: string, text: string | Buffer, user: string, mode = 0o600) => {
      writeFileSync(join(root, name), text, { mode });
      chownSync(join(root, name), numberOf('-u', user), numberOf('-g', user));
    };
    own('munge/key', randomBytes(128), 'munge');
    own('jwt.key', randomBytes(32), 'slurm');
    for (let gpu = 0; gpu < gpuFiles; gpu++) own(`gpu${gpu}`, '', 'root', 0o666);
    own('cgroup.conf', '', 'root', 0o644);
    const files = configFiles(root, this.#ports, this.#plan);
    own('slurm.conf', files.slurmConf, 'root', 0o644);
    own('gres.conf', files.gresConf, 'root', 0o644);
    own('slurmdbd.conf', files.slurmdbdConf, 'slurm');
  }

  #launch(
    name: string,
    user: string,
    command: string[],
    environment: Record<string, string> = {},
  ): void {
    const log = openSync(join(this.root, 'log', name), 'a');
    const as = [`--reuid=${user}`, `--regid=${numberOf('-g', user)}`, '--init-groups'];
    const [file = '', ...args] = user === 'root' ? command : ['setpriv', ...as, '--', ...command];
    const child = spawn(file, args, {
      env: {
        PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
        SLURM_CONF: this.slurmConf,
        ...environment,
      },
      stdio: ['ignore', log, log],
      cwd: '/',
    });
    closeSync(log);
    this.#running.set(name, child);
  }
}
