import { join } from 'node:path';

/** The name of this machine in Slurm. */
export const NODE_NAME = 'box0';

/** Returns the file to which that node's slurmd writes its process id. */
export function slurmdPidFile(layout: Pick<Layout, 'run'>, node: string): string {
  return join(layout.run, `slurmd-${node}.pid`);
}

/** Every path under `JR_ROOT`; no other module spells one out. */
export interface Layout {
  root: string;
  datasets: string;
  results: string;
  logs: string;
  jobLogs: string;
  jobScripts: string;
  databaseFolder: string;
  database: string;
  secrets: string;
  app: string;
  slurmEtc: string;
  slurmConf: string;
  /**
   * The slurm.conf of SSH hosts' slurmds: the same cluster, without limits on processes of this
   * machine.
   */
  slurmConfSsh: string;
  /** The script that Slurm runs on this machine for the job of an SSH host. */
  sshJobScript: string;
  /** Checks that the log Slurm opened for `jr-remote` is the job's own. */
  ownLog: string;
  gpuMap: string;
  slurmState: string;
  slurmSpool: string;
  simulatedGpus: string;
  mysqlData: string;
  run: string;
  mungeFolder: string;
  mungeRun: string;
  mungeSocket: string;
  mysqlRun: string;
  mysqlSocket: string;
  jobEnded: string;
  /** The API's socket for the owner, in a folder that only root and the API can enter. */
  ownerSocket: string;
  /** Sockets of the jobs’ GNU screen sessions. */
  screens: string;
  /**
   * SSH hosts: job specs, keys and passwords, state that only `jr-remote` reads, and the checked
   * hosts.
   */
  sshJobs: string;
  sshKeys: string;
  sshState: string;
  /** The name of this JobRunner's folders on SSH hosts. */
  sshInstallation: string;
  sshHosts: string;
  /** The status of SSH hosts, which the watch writes for the API. */
  sshStatus: string;
  sshKnownHosts: string;
  /** The device files that stand for the hosts' GPUs in Slurm. */
  sshGpus: string;
  /**
   * Workers: certificate, key and secret of the join port; the record of workers for the API, and
   * its copy for the join port; the socket at which root's process admits workers.
   */
  join: string;
  joinCertificate: string;
  joinKey: string;
  joinWorkers: string;
  registerSocket: string;
  workersRecord: string;
  /** Unfinished transfers from workers. */
  workerArrivals: string;
  /**
   * On a worker: its identity, its outbox, its agent's socket, and when its link to the controller
   * last came up.
   */
  workerIdentity: string;
  workerOutbox: string;
  /** The worker's GPUs, which jobs' scripts read. */
  nodeFile: string;
  workerSocket: string;
  workerLinkUp: string;
  /** The API's clone of the git queue's repository. */
  gitQueue: string;
  supervisorConf: string;
  supervisorSocket: string;
}

export function layoutOf(root: string): Layout {
  const run = join(root, 'run');
  const slurm = join(root, 'slurm');
  const etc = join(slurm, 'etc');
  return {
    root,
    datasets: join(root, 'datasets'),
    results: join(root, 'results'),
    logs: join(root, 'logs'),
    jobLogs: join(root, 'logs', 'jobs'),
    jobScripts: join(root, 'scripts'),
    databaseFolder: join(root, 'db'),
    database: join(root, 'db', 'jr_slurm.db'),
    secrets: secretsFolder(root),
    app: join(root, 'app'),
    slurmEtc: etc,
    slurmConf: join(etc, 'slurm.conf'),
    slurmConfSsh: join(etc, 'slurm-ssh.conf'),
    sshJobScript: join(etc, 'remote-job.sh'),
    ownLog: join(etc, 'own-log.sh'),
    gpuMap: join(etc, 'gpus.json'),
    slurmState: join(slurm, 'state'),
    slurmSpool: join(slurm, 'spool'),
    simulatedGpus: join(slurm, 'gpus'),
    mysqlData: join(root, 'mysql'),
    run,
    mungeFolder: join(root, 'munge'),
    mungeRun: join(run, 'munge'),
    mungeSocket: join(run, 'munge', 'munge.socket'),
    mysqlRun: join(run, 'mysql'),
    mysqlSocket: join(run, 'mysql', 'mysqld.sock'),
    jobEnded: join(run, 'job-ended', 'last'),
    ownerSocket: join(run, 'api', 'owner.sock'),
    screens: join(run, 'screen'),
    sshJobs: join(root, 'remote', 'jobs'),
    sshKeys: join(root, 'remote', 'keys'),
    sshState: join(root, 'remote', 'state'),
    sshInstallation: join(root, 'remote', 'installation'),
    sshHosts: join(root, 'remote', 'hosts.json'),
    sshStatus: join(root, 'remote', 'status', 'hosts.json'),
    sshKnownHosts: join(root, 'remote', 'keys', 'known_hosts'),
    sshGpus: join(root, 'remote', 'gpus'),
    join: join(root, 'join'),
    joinCertificate: join(root, 'join', 'cert.pem'),
    joinKey: join(root, 'join', 'key.pem'),
    joinWorkers: join(root, 'join', 'workers.json'),
    registerSocket: join(run, 'join', 'register.sock'),
    workersRecord: join(root, 'workers', 'workers.json'),
    workerArrivals: join(root, 'results', '.arrivals'),
    workerIdentity: join(root, 'workers', 'self.json'),
    nodeFile: join(etc, 'node.sh'),
    workerOutbox: join(root, 'workers', 'outbox'),
    workerSocket: join(run, 'worker', 'agent.sock'),
    workerLinkUp: join(run, 'worker', 'link-up'),
    gitQueue: join(root, 'git-queue'),
    supervisorConf: join(run, 'supervisord.conf'),
    supervisorSocket: join(run, 'supervisor.sock'),
  };
}

/**
 * Returns the folder where the stack leaves secrets for the API; only the API's user can read it.
 */
export function secretsFolder(root: string): string {
  return join(root, 'secrets');
}
