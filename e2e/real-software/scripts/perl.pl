# Children by fork, pipes and open3, signals between them, and threads.
use strict;
use warnings;
use Config;
use IPC::Open3;
use POSIX ':sys_wait_h';

my @children = map {
  my $n = $_;
  my $pid = fork() // die;
  exit($n * 3) if $pid == 0;
  $pid
} 1 .. 8;
my $sum = 0;
for (@children) { waitpid($_, 0); $sum += $? >> 8 }
print "sum $sum\n";
open(my $pipe, '-|', 'seq', '1', '5') or die;
print join('+', map { chomp; $_ } <$pipe>), "\n";
close $pipe;
my $pid = open3(my $in, my $out, undef, 'sort', '-r');
print $in "a\nc\nb\n";
close $in;
print join(' ', map { chomp; $_ } <$out>), "\n";
waitpid($pid, 0);
my $got = 0;
local $SIG{USR1} = sub { $got++ };
system(qw(perl -e), 'kill USR1 => getppid') == 0 or die;
print "signals $got\n";
print `perl -e 'print "in backquotes\n"'`;
my $size = 0;
if ($Config{useithreads}) {
  require threads;
  $size = eval join '+', map { $_->join } map { my $n = $_; threads->create(sub { $n * $n }) } 1 .. 4;
}
print "threads $size\n";
