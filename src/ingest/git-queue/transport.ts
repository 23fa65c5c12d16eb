import { transportOf, unusableAddress, type Credentials } from '../../config/git-transport.js';
import { shellQuote } from '../../jobs/script/shell-quote.js';
import { safeConfig, type GitSetup } from './git.js';

/**
 * Makes git’s setup for a service: no user’s settings or keys, and only the given credentials.
 * @param askpass program that passes the token to git
 * @param mayUseFiles whether a repository on this machine is permitted
 */
export function serviceGit(parts: {
  url: string;
  home: string;
  askpass: string;
  credentials: Credentials;
  mayUseFiles: boolean;
}): GitSetup {
  const { url, home, askpass, credentials, mayUseFiles } = parts;
  const transport = transportOf(url);
  if (transport === 'file' && !mayUseFiles) throw unusableAddress('is a folder of this machine');
  const { tokenFile, username = 'git', sshKeyFile, knownHostsFile } = credentials;
  const ssh = [
    'ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes',
    '-o PermitLocalCommand=no -o ForwardAgent=no -o ClearAllForwardings=yes',
    '-o ConnectTimeout=30 -o ServerAliveInterval=15 -o UpdateHostKeys=no',
    `-o UserKnownHostsFile=${shellQuote(knownHostsFile ?? '/dev/null')}`,
    `-o IdentityFile=${shellQuote(sshKeyFile ?? 'none')}`,
  ].join(' ');
  const isHttps = transport === 'https';
  return {
    env: {
      PATH: '/usr/local/bin:/usr/bin:/bin',
      HOME: home,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_SSH_COMMAND: ssh,
      GIT_SSH_VARIANT: 'ssh',
      GIT_ASKPASS: isHttps && tokenFile !== undefined ? askpass : '/bin/false',
      ...(isHttps &&
        tokenFile !== undefined && {
          JR_GIT_TOKEN_FILE: tokenFile,
          JR_GIT_USERNAME: username,
          JR_GIT_HOST: new URL(url).host,
        }),
    },
    config: { ...safeConfig([transport]), 'credential.helper': '' },
  };
}

/**
 * Makes git’s setup for a user at a terminal, with the settings, agent and helpers of their own
 * `git push`.
 * @param env their whole environment
 */
export function userGit(env: Readonly<Record<string, string | undefined>>): GitSetup {
  const kept = Object.entries(env).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined &&
      // Drops variables that a hook of the clone may have set and that would lead git to other
      // files.
      !/^GIT_(DIR|WORK_TREE|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|COMMON_DIR|NAMESPACE|PREFIX|TRACE.*|ALLOW_PROTOCOL)$/.test(
        entry[0],
      ),
  );
  return {
    env: {
      GIT_SSH_COMMAND: 'ssh -o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=15',
      ...Object.fromEntries(kept),
    },
    config: { ...safeConfig(['https', 'http', 'ssh', 'file']), 'http.followRedirects': 'initial' },
  };
}
