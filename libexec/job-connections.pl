#!/usr/bin/perl -w
# The watch over jobs' connections runs this as root, with the rights of a job's user:
#   find UID GID GROUP SLURM_CONF  reads inodes of sockets, one a line, and prints a line for each
#                                  process of the user that has some, or whose files cannot be read:
#                                  PID, the Slurm job in its environment or -, the inodes or -
#   tell UID GID GROUP PID         appends what it reads to the standard error of the process
# GROUP is the group of all users of jobs. It uses only perl modules that every Debian has.
use strict;
use Fcntl;

my ($what, $uid, $gid, $group, $more) = @ARGV;

# Seconds. A process of the user's must not hold the watch.
alarm 10;

# Only the effective ids change. So root in a container without CAP_SYS_PTRACE may read that user's
# processes, and no link of the user's leads to files that only root can write. For signals and
# ptrace this process stays root's (kill(2), credentials(7)).
$) = "$gid $gid $group";
$> = $uid;
die "job-connections: cannot act as $uid: $!\n" unless $> == $uid && (split ' ', $))[0] == $gid;

if    ($what eq 'find') { find() }
elsif ($what eq 'tell') { tell_job() }
else                    { die "job-connections: find or tell?\n" }

sub find {
  my %wanted = map { chomp; $_ => 1 } <STDIN>;
  opendir my $proc, '/proc' or die "job-connections: /proc: $!\n";
  while (defined(my $pid = readdir $proc)) {
    next unless $pid =~ /^\d+$/ && ((stat "/proc/$pid")[4] // -1) == $uid;
    my $found;
    if (opendir my $files, "/proc/$pid/fd") {
      my @links = map { readlink "/proc/$pid/fd/$_" } grep /^\d+$/, readdir $files;
      # A process that hides lists its files, but not where they lead.
      my @sockets = grep { $wanted{$_} } map { defined && /^socket:\[(\d+)\]$/ ? $1 : () } @links;
      $found = join ',', @sockets if !@links || grep { defined } @links;
    }
    $found = '-' if !defined $found && -d "/proc/$pid";
    print join(' ', $pid, job_of("/proc/$pid/environ"), $found), "\n" if defined $found && $found ne '';
  }
}

sub job_of {
  open my $file, '<:raw', $_[0] or return '-';
  local $/;
  my %has = map { /^(SLURM_JOB_ID|SLURM_CONF)=(.*)$/s ? ($1 => $2) : () } split /\0/, <$file> // '';
  return '-' unless ($has{SLURM_CONF} // '') eq $more && ($has{SLURM_JOB_ID} // '') =~ /^\d+$/;
  return $has{SLURM_JOB_ID};
}

sub tell_job {
  my $words = do { local $/; <STDIN> };
  sysopen my $log, "/proc/$more/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY or die "job-connections: $!\n";
  die "job-connections: no log\n" unless -f $log;
  syswrite $log, $words;
}
