#!/usr/bin/perl -w
# slurm/epilog.sh runs this as root: USER GROUP FOLDER JOB SLURM_CONF SCREENS. With the rights
# of the job's user, it ends processes that the job left behind, opens its files to their group, and
# removes its screen's socket. It uses only perl modules that every Debian has.
# -w: the module of warnings takes as long to load as everything this script does.
use strict;

my ($user, $group, $folder, $job, $slurm_conf, $screens) = @ARGV;
my $uid = getpwnam $user   // die "after-job: there is no user $user\n";
my $gid = getgrnam $group  // die "after-job: there is no group $group\n";
my $jobs = getgrnam 'runner' // die "after-job: there is no group runner\n";

# Seconds. The job's GPUs stay busy until this ends, and the user may go on making files.
alarm 300;

# Only the effective ids change. So no link of a job leads to files that its user cannot change, and
# root in a container without CAP_SYS_PTRACE may read that user's environments. For signals and
# ptrace this process stays root's (kill(2), credentials(7)): otherwise another job of that user
# could stop it, or make it end another user's process.
$) = "$gid $gid $jobs";
$> = $uid;
die "after-job: cannot act as $user: $!\n" unless $> == $uid && (split ' ', $))[0] == $gid;

# A process that ended in the first round may have started another one.
for (1 .. 20) { last unless end_left_behind() }
# No process is left to close them again.
chdir $folder and open_to_group();
remove_socket();

# Without cgroups, Slurm loses sight of a process whose parent has ended. None may go on, holding
# memory or a GPU.
sub end_left_behind {
  my $found = 0;
  opendir my $proc, '/proc' or return 0;
  while (defined(my $pid = readdir $proc)) {
    next unless $pid =~ /^\d+$/ && ((stat "/proc/$pid")[4] // -1) == $uid;
    # pidfd_open(2), 0 where it is missing: only the examined process is ended, not a later one with
    # the same number.
    my $held = syscall 434, $pid + 0, 0;
    open my $keep, '<&=', $held if $held >= 0;
    next unless is_of_job("/proc/$pid/environ");
    my $KILL = 9;
    # pidfd_send_signal(2)
    $found++ if $held >= 0 ? syscall(424, $held, $KILL, 0, 0) == 0 : kill $KILL, $pid;
  }
  return $found;
}

sub is_of_job {
  open my $file, '<:raw', $_[0] or return 0;
  local $/;
  my %has = map { $_ => 1 } split /\0/, <$file> // '';
  return $has{"SLURM_JOB_ID=$job"} && $has{"SLURM_CONF=$slurm_conf"};
}

# In the working directory: chmod -R u+rwX,g+rwX on that user's files. A job may have closed its
# files with a strict umask, but users download them and the API removes them.
sub open_to_group {
  # Folders may be of any depth.
  local $^W = 0;
  opendir my $here, '.' or return;
  while (defined(my $name = readdir $here)) {
    next if $name eq '.' || $name eq '..';
    my ($mode, $owner) = (lstat $name)[2, 4];
    next if !defined $mode || -l _ || $owner != $uid;
    my $is_folder = -d _;
    my $open = $mode & 07777 | 0660 | ($is_folder || $mode & 0111 ? 0110 : 0);
    chmod $open, $name if $open != ($mode & 07777);
    next unless $is_folder && chdir $name;
    open_to_group();
    chdir $here or return;
  }
}

# A killed screen leaves its socket, which would be listed as a dead session. Its name ends with our
# job number.
sub remove_socket {
  my ($number) = $folder =~ m{([^/]+)$};
  opendir my $sockets, "$screens/$user" or return;
  for my $name (grep /\.gpujob_.*_\Q$number\E$/, readdir $sockets) {
    my $path = "$screens/$user/$name";
    unlink $path if -S $path;
  }
}
