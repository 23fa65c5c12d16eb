#!/usr/bin/perl -w
# The API's user runs this by sudo as root when it cannot remove a job's folder: a later job of the
# same Unix user may have closed folders in it. With the rights of that user, this opens the user's
# own folders below FOLDER to them and their group, and prints how many were closed.
# Usage: open-folders USER FOLDER. It uses only what every Debian has.
use strict;

my ($user, $folder) = @ARGV;
die "open-folders: expected a user that jobs run as, and a folder\n"
  unless @ARGV == 2 && $user =~ /\A(runner|jr-job[1-9][0-9]{0,2})\z/;
my $uid = getpwnam $user // die "open-folders: there is no user $user\n";
my $group = $user eq 'runner' ? 'jr-owner' : $user;
my $gid = getgrnam $group // die "open-folders: there is no group $group\n";
my $jobs = getgrnam 'runner' // die "open-folders: there is no group runner\n";

# Seconds. The API waits for this.
alarm 60;

# Only the effective ids change: no link leads to files that this user cannot change, and no job of
# the user can stop this process (kill(2), credentials(7)).
$) = "$gid $gid $jobs";
$> = $uid;
die "open-folders: cannot act as $user: $!\n" unless $> == $uid && (split ' ', $))[0] == $gid;

chdir $folder or die "open-folders: $folder: $!\n";
my $opened = 0;
open_folders();
print "$opened\n";

# In the working directory: chmod u+rwx,g+rwx,-t. In a sticky folder (inode(7)), the API could not
# remove the names of others.
sub open_folders {
  # Folders may be of any depth.
  local $^W = 0;
  opendir my $here, '.' or return;
  while (defined(my $name = readdir $here)) {
    next if $name eq '.' || $name eq '..';
    my ($mode, $owner) = (lstat $name)[2, 4];
    next unless defined $mode && -d _;
    my $open = ($mode & 07777 | 0770) & ~01000;
    $opened++ if $owner == $uid && $open != ($mode & 07777) && chmod $open, $name;
    next unless chdir $name;
    open_folders();
    chdir $here or return;
  }
}
