#!/usr/bin/perl -w
# slurm/epilog.sh runs this as root: USER GROUP FOLDER JOB SLURM_CONF SCREENS. With the rights
# of the job's user, it ends processes that the job left behind, opens its files to their group, and
# removes its screen's socket. Where no other job of that user runs, it also removes what the user
# left in folders that all share. It uses only perl modules that every Debian has.
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
# Others than JobRunner may use `runner`, and leave files for it.
remove_shared() unless $user eq 'runner';

# Without cgroups, Slurm loses sight of a process whose parent has ended. None may go on, holding
# memory or a GPU. The environment names the job of most; a process that cleared or hid it is ended
# when no other job of its user runs.
sub end_left_behind {
  my %held;
  my $seen = processes();
  for my $pid (grep $seen->{$_}{uid} == $uid, keys %$seen) {
    # pidfd_open(2), 0 where it is missing: only the examined process is ended, not a later one with
    # the same number.
    my $handle = syscall 434, $pid + 0, 0;
    $held{$pid} = { handle => $handle };
    open $held{$pid}{keep}, '<&=', $handle if $handle >= 0;
  }
  return 0 unless %held;
  # Read after the handles were made: a job that has started since is among these.
  my $all = processes();
  my $alone = !has_live_job($all);
  my $found = 0;
  for my $pid (keys %held) {
    next unless $all->{$pid} && $all->{$pid}{uid} == $uid;
    next unless is_of_job("/proc/$pid/environ") || ($alone && is_orphan($all, $pid));
    my ($handle, $KILL) = ($held{$pid}{handle}, 9);
    # pidfd_send_signal(2)
    $found++ if $handle >= 0 ? syscall(424, $handle, $KILL, 0, 0) == 0 : kill $KILL, $pid;
  }
  return $found;
}

# Lists all processes. The status tells the user of those that hide the rest (prctl(2),
# PR_SET_DUMPABLE).
sub processes {
  my %all;
  opendir my $proc, '/proc' or return \%all;
  for my $pid (grep /^\d+$/, readdir $proc) {
    open my $file, '<', "/proc/$pid/status" or next;
    sysread $file, my $text, 1024;
    my %has = ($text // '') =~ /^(Name|State|PPid|Uid):\t(\S*)/mg;
    next unless defined $has{Uid};
    # One that has ended waits only for its parent to notice.
    $all{$pid} = { name => $has{Name}, parent => $has{PPid}, uid => $has{Uid} } if $has{State} ne 'Z';
  }
  return \%all;
}

# Tells whether a job of the user runs here, of any cluster on this machine: its script runs below a
# slurmstepd of root's until the job ends.
sub has_live_job {
  my ($all) = @_;
  # Where a mount hides other users' processes, nobody knows.
  return 1 unless $all->{1};
  for my $pid (grep $all->{$_}{uid} == $uid, keys %$all) {
    for my $above (ancestors($all, $pid)) {
      return 1 if $all->{$above}{uid} == 0 && $all->{$above}{name} eq 'slurmstepd';
    }
  }
  return 0;
}

# Tells whether a process has lost its parent: then init has it, or the systemd above this one. What
# root started for that user outside of Slurm (su, sudo, docker exec) has not. `runner` may also
# have services of its own, in other control groups.
sub is_orphan {
  my ($all, $pid) = @_;
  my ($first) = grep { $all->{$_}{uid} != $uid } ancestors($all, $pid);
  return 0 unless defined $first;
  my $is_above = grep $_ == $first, ancestors($all, $$);
  return 0 unless $first == 1 || ($is_above && $all->{$first}{name} eq 'systemd');
  return $user ne 'runner' || control_groups($pid) eq control_groups($$);
}

# The nearest comes first; of a process from outside this container, none is known.
sub ancestors {
  my ($all, $pid) = @_;
  my @above;
  while (defined $all->{$pid} && defined $all->{ $pid = $all->{$pid}{parent} } && @above < 1000) {
    push @above, $pid;
  }
  return @above;
}

sub control_groups {
  open my $file, '<', "/proc/$_[0]/cgroup" or return "none of $_[0]";
  local $/;
  return <$file> // '';
}

sub is_of_job {
  open my $file, '<:raw', $_[0] or return 0;
  local $/;
  my %has = map { $_ => 1 } split /\0/, <$file> // '';
  return $has{"SLURM_JOB_ID=$job"} && $has{"SLURM_CONF=$slurm_conf"};
}

# Removes the user's files in /tmp, /var/tmp and /dev/shm, and its System V memory, semaphores and
# queues.
sub remove_shared {
  my %left = map { $_ => [owned_in($_)] } '/tmp', '/var/tmp', '/dev/shm';
  my %ids = map { $_ => [owned_ids($_)] } 'shm', 'sem', 'msg';
  return unless grep @$_, values %left, values %ids;
  # Read after the lists were made: what a job that has started since makes is in none of them.
  return if has_live_job(processes());
  for my $shared (keys %left) {
    for my $name (@{ $left{$shared} }) {
      chdir $shared or last;
      remove_tree($name);
    }
  }
  my $IPC_RMID = 0;
  shmctl $_, $IPC_RMID, 0 for @{ $ids{shm} };
  semctl $_, 0, $IPC_RMID, 0 for @{ $ids{sem} };
  msgctl $_, $IPC_RMID, 0 for @{ $ids{msg} };
}

sub owned_in {
  opendir my $shared, $_[0] or return;
  return grep { $_ ne '.' && $_ ne '..' && ((lstat "$_[0]/$_")[4] // -1) == $uid } readdir $shared;
}

# Each line is `key id perms …`; the header names the column of the owner (proc(5)).
sub owned_ids {
  open my $file, '<', "/proc/sysvipc/$_[0]" or return;
  my ($header, @lines) = map { [split] } <$file>;
  my ($column) = grep $header->[$_] eq 'uid', 0 .. $#{ $header // [] };
  return unless defined $column;
  return map $_->[1], grep $_->[$column] == $uid, @lines;
}

# In the working directory. Follows no link: others may write to the user's folders, and put one in
# the place of a folder.
sub remove_tree {
  my ($name) = @_;
  local $^W = 0;
  my ($device, $inode) = lstat $name or return;
  if (-d _) {
    opendir my $here, '.' or return;
    chdir $name or chmod(0700, $name) && chdir $name or return;
    my ($in_device, $in_inode) = stat '.';
    my $is_same = $in_device == $device && $in_inode == $inode;
    if ($is_same && chmod(0700, '.') && opendir my $folder, '.') {
      remove_tree($_) for grep { $_ ne '.' && $_ ne '..' } readdir $folder;
    }
    chdir $here or die "after-job: cannot go back from $name: $!\n";
    rmdir $name;
  } else {
    unlink $name;
  }
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
