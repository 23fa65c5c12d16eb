#!/usr/bin/perl -w
# Run by slurm/epilog.sh, as root: USER GROUP FOLDER JOB SLURM_CONF SCREENS. Does what is to be done with the rights of the job's user:
# ends the processes that the job left behind, opens its files to their group, removes its screen's socket. Of perl's modules those alone
# that every Debian has.
# -w: the module of warnings takes as long to load as all that is done here.
use strict;

my ($user, $group, $folder, $job, $slurm_conf, $screens) = @ARGV;
my $uid = getpwnam $user   // die "after-job: there is no user $user\n";
my $gid = getgrnam $group  // die "after-job: there is no group $group\n";
my $jobs = getgrnam 'runner' // die "after-job: there is no group runner\n";

# The job's GPUs are held until this ends, and the user may go on making files. Seconds.
alarm 300;

# In effect alone, so that no link of a job's leads to what its user cannot change, and so that root in a container without
# CAP_SYS_PTRACE may read that user's environments. For signals and ptrace this process stays root's (kill(2), credentials(7)): another
# job of that user's could else stop it, or lead it to end somebody else's process.
$) = "$gid $gid $jobs";
$> = $uid;
die "after-job: cannot act as $user: $!\n" unless $> == $uid && (split ' ', $))[0] == $gid;

# What ends one may have been too late for another that it started.
for (1 .. 20) { last unless end_left_behind() }
# Nobody is left to close them again.
chdir $folder and open_to_group();
remove_socket();

# Without cgroups, Slurm loses sight of a process whose parent has ended. None may go on, holding memory or a GPU.
sub end_left_behind {
  my $found = 0;
  opendir my $proc, '/proc' or return 0;
  while (defined(my $pid = readdir $proc)) {
    next unless $pid =~ /^\d+$/ && ((stat "/proc/$pid")[4] // -1) == $uid;
    # pidfd_open(2), 0 where there is none: what is ended is what was looked at, and none that has its number by then.
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

# In the working directory: chmod -R u+rwX,g+rwX of what is that user's. A job may have closed its files with a strict umask, and they
# are to be downloaded and removed.
sub open_to_group {
  # Folders may lie as deep as they like.
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

# screen, once killed, leaves it, and would be listed as a dead session. Its name ends with our number of the job.
sub remove_socket {
  my ($number) = $folder =~ m{([^/]+)$};
  opendir my $sockets, "$screens/$user" or return;
  for my $name (grep /\.gpujob_.*_\Q$number\E$/, readdir $sockets) {
    my $path = "$screens/$user/$name";
    unlink $path if -S $path;
  }
}
