# Perl's AnyEvent::Fork, measured by a program in Perl. Reads requests, one a
# line, and answers each with a line of numbers.
use strict;
use warnings;
use AnyEvent;
use AnyEvent::Fork;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

$| = 1;

# A template of our own, with the function there: each worker is a fork of it.
my $template = AnyEvent::Fork->new->eval(q{
    use POSIX ();
    sub answer {
        my ($socket, $value) = @_;
        syswrite $socket, pack "Q", $value;
        POSIX::_exit(0);
    }
});

# Begins one. Calls back with the time of its value, and with that of its end,
# which its socket tells.
sub begin {
    my ($value, $done) = @_;
    my $start = clock_gettime(CLOCK_MONOTONIC);
    $template->fork->send_arg($value)->run("answer", sub {
        my ($socket) = @_;
        my ($bytes, $result) = ("", 0);
        my $watcher;
        $watcher = AE::io($socket, 0, sub {
            my $got = sysread $socket, $bytes, 64, length $bytes;
            return if !defined $got && $!{EAGAIN};
            my $now = clock_gettime(CLOCK_MONOTONIC);
            if (!$got) {
                undef $watcher;
                die "another value\n" unless unpack("Q", $bytes) == $value;
                return $done->(1e6 * ($result - $start), 1e6 * ($now - $start));
            }
            $result ||= $now if length $bytes >= 8;
        });
    });
}

# One after the other, for so long and at least 4: times in µs, result and exit
# by turns.
sub alone {
    my ($length) = @_;
    my @times;
    my $end = clock_gettime(CLOCK_MONOTONIC) + $length;
    do {
        my $ended = AE::cv;
        begin(scalar @times, sub { push @times, @_; $ended->send });
        $ended->recv;
    } while @times < 8 || clock_gettime(CLOCK_MONOTONIC) < $end;
    return @times;
}

# So many at the same time: processes a second.
sub flight {
    my ($many, $length) = @_;
    my ($count, $running) = (0, 0);
    my $ended = AE::cv;
    my $start = clock_gettime(CLOCK_MONOTONIC);
    my $next;
    $next = sub {
        $running++;
        begin($count, sub {
            $running--;
            $count++;
            if (clock_gettime(CLOCK_MONOTONIC) - $start < $length || $count < $many) { $next->() }
            elsif (!$running) { $ended->send }
        });
    };
    $next->() for 1 .. $many;
    $ended->recv;
    return $count / (clock_gettime(CLOCK_MONOTONIC) - $start);
}

my $ballast;
while (my $line = <STDIN>) {
    my ($what, @numbers) = split " ", $line;
    if ($what eq "touch") {
        undef $ballast;
        $ballast = "\1" x ($numbers[0] << 20);
        print "1\n";
    }
    elsif ($what eq "alone") { print join(" ", alone(@numbers)), "\n" }
    elsif ($what eq "flight") { print flight(@numbers), "\n" }
    else { die "unknown request: $what\n" }
}
