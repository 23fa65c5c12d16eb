import { spawn, execFileSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, closeSync, existsSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { execa } from 'execa';
import { until } from './gpu-jobs.js';
import { freePorts } from '../free-ports.js';
import { makeRoot } from './live-stack.js';

const numberOf = (flag: '-u' | '-g', user: string) =>
  Number(execFileSync('id', [flag, user], { encoding: 'utf8' }));

/** Partitions that mean something else in a cluster of our own. */
export const namesOfOurs = ['main', 'ssh', 'any', 'boxes'];

/**
 * A Slurm as a site would run it, with nothing of ours in it: partitions `cpu` (the default) and `gpu` with limits, a node with two
 * whole GPUs of a type and no shards, accounting that keeps no comments, and slurmrestd.
 */
export class SiteSlurm {
  readonly #running = new Map<string, ChildProcess>();

  private constructor(
    readonly root: string,
    private readonly ports: { ctld: number; dbd: number; rest: number; g1: number; c1: number },
  ) {}

  static async start(): Promise<SiteSlurm> {
    const [ctld = 0, dbd = 0, rest = 0, g1 = 0, c1 = 0] = await freePorts(5);
    const site = new SiteSlurm(await makeRoot(), { ctld, dbd, rest, g1, c1 });
    try {
      await site.#up();
    } catch (error) {
      await site.remove();
      throw error;
    }
    return site;
  }

  get slurmConf(): string {
    return join(this.root, 'slurm.conf');
  }

  get restUrl(): string {
    return `http://127.0.0.1:${this.ports.rest}`;
  }

  get restSocket(): string {
    return join(this.root, 'rest-run', 'socket');
  }

  /** Runs one of the site's commands as root. @returns what it printed. */
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
    const listen = [`127.0.0.1:${this.ports.rest}`, `unix:${this.restSocket}`];
    await rm(this.restSocket, { force: true });
    const command = ['slurmrestd', '-f', this.slurmConf, '-a', 'rest_auth/jwt', ...listen];
    // Whoever asks brings a token: it has none of its own that would do.
    this.#launch('slurmrestd', 'nobody', command, { SLURM_JWT: 'daemon' });
    await until('slurmrestd answers', () =>
      fetch(`${this.restUrl}/openapi/v3`).then(
        () => true,
        () => false,
      ),
    );
    // Whoever may write to it may ask; what then counts is the token.
    await chmod(this.restSocket, 0o666);
  }

  /** Lets slurmctld forget jobs so soon after their end. @param seconds 300 unless told */
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
    for (const name of ['slurmrestd', 'slurmd-c1', 'slurmd-g1', 'slurmctld', 'slurmdbd'])
      await this.stop(name);
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
    await this.#startAccounting();
    await this.startController();
    for (const node of ['g1', 'c1'])
      this.#launch(`slurmd-${node}`, 'root', ['slurmd', '-D', '-N', node, '-f', this.slurmConf]);
    await this.startRest();
    await until(
      'both nodes are idle',
      async () => (await this.command('sinfo', '-hN', '-p', 'all', '-o', '%T')) === 'idle\nidle',
    );
  }

  async #startAccounting(): Promise<void> {
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
    await until('MariaDB answers', () => existsSync(`${root}/mysql-run/sock`), 60);
    this.#launch('slurmdbd', 'slurm', ['slurmdbd', '-D'], {
      MYSQL_UNIX_PORT: `${root}/mysql-run/sock`,
    });
    await until('slurmdbd answers', () => this.#answers('sacctmgr', '-n', 'list', 'cluster'), 60);
    await this.command('sacctmgr', '-i', 'add', 'cluster', 'campus');
    await this.command('sacctmgr', '-i', 'add', 'account', 'phys,bio');
    await this.command('sacctmgr', '-i', 'add', 'user', 'jobrunner,runner', 'account=bio');
    await this.command('sacctmgr', '-i', 'add', 'user', 'jobrunner,runner', 'account=phys');
  }

  #configure(): void {
    const { root, ports } = this;
    const own = (name: string, text: string | Buffer, user: string, mode = 0o600) => {
      writeFileSync(join(root, name), text, { mode });
      chownSync(join(root, name), numberOf('-u', user), numberOf('-g', user));
    };
    own('munge/key', randomBytes(128), 'munge');
    own('jwt.key', randomBytes(32), 'slurm');
    own('gpu0', '', 'root', 0o666);
    own('gpu1', '', 'root', 0o666);
    own('cgroup.conf', '', 'root', 0o644);
    const common = [
      'SlurmUser=slurm',
      'AuthType=auth/munge',
      `AuthInfo=socket=${root}/munge-run/socket`,
      'AuthAltTypes=auth/jwt',
      `AuthAltParameters=jwt_key=${root}/jwt.key`,
    ];
    const lines = [
      ...common,
      'ClusterName=campus',
      'SlurmctldHost=localhost(127.0.0.1)',
      `SlurmctldPort=${ports.ctld}`,
      'CredType=cred/munge',
      'MpiDefault=none',
      'CommunicationParameters=NoCtldInAddrAny,NoInAddrAny',
      `StateSaveLocation=${root}/state`,
      `SlurmdSpoolDir=${root}/spool/%n`,
      `SlurmctldPidFile=${root}/state/slurmctld.pid`,
      `SlurmdPidFile=${root}/spool/slurmd-%n.pid`,
      'ProctrackType=proctrack/linuxproc',
      'TaskPlugin=task/none',
      'JobAcctGatherType=jobacct_gather/linux',
      'SlurmdParameters=config_overrides',
      'ReturnToService=2',
      'KillWait=2',
      // Jobs start when there is room, not up to 3 s later: nothing here is about a busy site's sparing itself.
      'SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=1',
      'SelectType=select/cons_tres',
      'SelectTypeParameters=CR_Core_Memory',
      'EnforcePartLimits=ALL',
      'AccountingStorageType=accounting_storage/slurmdbd',
      'AccountingStorageHost=127.0.0.1',
      `AccountingStoragePort=${ports.dbd}`,
      `AccountingStoragePass=${root}/munge-run/socket`,
      'GresTypes=gpu',
      `NodeName=g1 NodeHostname=localhost NodeAddr=127.0.0.1 Port=${ports.g1} CPUs=4 RealMemory=4000 Gres=gpu:a100:2`,
      `NodeName=c1 NodeHostname=localhost NodeAddr=127.0.0.1 Port=${ports.c1} CPUs=8 RealMemory=8000`,
      'PartitionName=cpu Nodes=c1 Default=YES MaxTime=02:00:00 DefaultTime=00:10:00',
      'PartitionName=gpu Nodes=g1 MaxTime=01:00:00 MaxMemPerNode=3000',
      'PartitionName=all Nodes=g1,c1 MaxTime=UNLIMITED',
      ...namesOfOurs.map((name) => `PartitionName=${name} Nodes=c1 MaxTime=02:00:00`),
    ];
    writeFileSync(this.slurmConf, `${lines.join('\n')}\n`);
    writeFileSync(
      join(root, 'gres.conf'),
      `NodeName=g1 Name=gpu Type=a100 File=${root}/gpu[0-1]\n`,
    );
    const dbd = [
      ...common,
      'DbdHost=localhost',
      'DbdAddr=127.0.0.1',
      `DbdPort=${ports.dbd}`,
      'CommunicationParameters=NoInAddrAny',
      `PidFile=${root}/state/slurmdbd.pid`,
      'StorageType=accounting_storage/mysql',
      'StorageHost=localhost',
      'StorageUser=slurm',
      'StorageLoc=slurm_acct_db',
    ];
    own('slurmdbd.conf', `${dbd.join('\n')}\n`, 'slurm');
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
