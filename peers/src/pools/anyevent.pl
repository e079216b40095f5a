# Perl's AnyEvent::Fork::Pool and ::RPC, measured by a program in Perl. Reads
# requests, one a line, and answers each with a line: calls a second, or "! " and
# why there are none.
use strict;
use warnings;

my $what = shift;
my $module = $what =~ /pool/ ? "AnyEvent::Fork::Pool" : "AnyEvent::Fork::RPC";
$| = 1;
for my $needed ("AnyEvent", "AnyEvent::Fork", $module) {
    next if eval "require $needed; 1";
    print $needed eq $module
        ? "! not installed: `$needed` is in no package of Debian, only on CPAN\n"
        : "! not installed: `apt-get install libanyevent-fork-perl libev-perl`\n";
    exit;
}
require Time::HiRes;
my $loop = AnyEvent::detect();
printf "Perl's `%s` %s (with `AnyEvent::Fork` %s, %s)%s\n", $module, $module->VERSION,
    AnyEvent::Fork->VERSION, $loop =~ s/.*:://r, $what =~ /deep/ ? ", `load => 16`" : "";

use constant { BYTES => 64 << 10, WORKERS => 2 };

# A template with the functions, of which the workers are forks.
sub template {
    return AnyEvent::Fork->new->require("Time::HiRes")->eval(q{
        use Time::HiRes qw(clock_gettime CLOCK_PROCESS_CPUTIME_ID);
        sub same { return $_[0] }
        sub work {
            my $end = clock_gettime(CLOCK_PROCESS_CPUTIME_ID) + 200e-6;
            1 while clock_gettime(CLOCK_PROCESS_CPUTIME_ID) < $end;
            return $_[0];
        }
        sub fresh {
            &AnyEvent::Fork::Pool::retire();
            return $_[0];
        }
    });
}

sub failed {
    print "! $_[0]\n";
    exit;
}

# A function that gives a call to a worker.
sub start {
    my ($function) = @_;
    my @common = ("main::$function", on_error => \&failed);
    if ($what =~ /pool/) {
        my @size = $function eq "fresh"
            ? (idle => 0, start => 0.001, load => 1)
            : (idle => WORKERS, load => $what =~ /deep/ ? 16 : 2);
        return template()->AnyEvent::Fork::Pool::run(@common, max => WORKERS, @size);
    }
    my $template = template();
    my @workers = map { $template->fork->AnyEvent::Fork::RPC::run(@common) } 1 .. WORKERS;
    my $turn = 0;
    return sub { $workers[$turn++ % @workers]->(@_) };
}

sub now { return Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) }

# Calls a second with so many in flight, for so long.
sub measure {
    my ($call, $kind, $many, $seconds) = @_;
    my $long = "\7" x (BYTES - 8);
    my ($number, $running, $warm, $done) = (0, 0, 0, 0);
    my ($begin, $start, $rate) = now();
    my $over = AE::cv();
    my $next;
    $next = sub {
        my $value = $kind eq "bytes" ? pack("Q", $number) . $long : $number;
        $number++;
        $running++;
        $call->($value, sub {
            failed("another value") unless $_[0] eq $value;
            $running--;
            my $now = now();
            if (!defined $start) {
                $start = $now if ++$warm >= 2 * $many && $now - $begin >= $seconds / 8;
            }
            elsif (!defined $rate) {
                $done++;
                my $length = $now - $start;
                $rate = $done / $length if $done >= $many && $length >= $seconds;
            }
            if (!defined $rate) { $next->() }
            elsif (!$running)   { $over->send }
        });
    };
    $next->() for 1 .. $many;
    $over->recv;
    undef $next;
    return $rate;
}

my %calls;
while (my $line = <STDIN>) {
    my ($kind, $many, $seconds) = split " ", $line;
    my $function = $kind eq "work" || $kind eq "fresh" ? $kind : "same";
    $calls{$function} ||= start($function);
    print measure($calls{$function}, $kind, $many, $seconds), "\n";
}
