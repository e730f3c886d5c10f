using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Twin.Maps;

namespace Skep.Bpf.Twin;

/// <summary>
/// Timers and work queues under the twin's clock (<c>kernel/bpf/helpers.c</c>, bpf_timer_*, bpf_wq_*): those that are due fire in the order of their times, then of their starts,
/// while the clock is moved on, each at exactly its time. A timer is its number, written where it stands: when the entry is removed or replaced, the
/// number is gone, and the timer with it.
/// </summary>
internal sealed unsafe class TwinTimers(TwinEnvironment environment, Lock gate) : KernelTimers
{
    private const int FewTimers = 1024;
    private const int Deadlock = -35;

    private readonly Dictionary<ulong, Timer> _timers = [];
    private readonly PriorityQueue<(Timer Timer, long Start), (ulong Due, long Start)> _queue = new();
    private ulong _lastNumber;
    private long _starts;
    private int _sweepAt = FewTimers;
    private Timer? _running;

    /// <summary>When the next timer is due; the largest number when none is armed.</summary>
    public ulong NextDue { get; private set; } = ulong.MaxValue;

    /// <summary>Timers that are armed.</summary>
    public int Armed => _timers.Values.Count(static timer => timer.ArmedBy != 0);

    public override int Initialize(ulong* timer, BpfMap map, ulong flags)
    {
        if (flags is not ((ulong)TimerClock.Monotonic or (ulong)TimerClock.BootTime or 0))
        {
            return -Errno.Invalid;
        }

        if (Find(timer) is not null)
        {
            return -Errno.Busy;
        }

        if (_timers.Count >= _sweepAt)
        {
            Sweep();
        }

        var number = ++_lastNumber;
        *timer = number;
        _timers.Add(number, new Timer(number, (nint)timer, map));
        return 0;
    }

    public override int SetCallback(ulong* timer, LaterCall call)
    {
        if (Find(timer) is not { } found)
        {
            return -Errno.Invalid;
        }

        found.Call = call;
        return 0;
    }

    public override int Start(ulong* timer, ulong nanoseconds, ulong flags)
    {
        if (Find(timer) is not { Call.Call: not null } found || (flags & ~(ulong)(TimerStart.Absolute | TimerStart.OnThisCpu)) != 0)
        {
            return -Errno.Invalid;
        }

        var now = environment.KtimeNow;
        var due = (flags & (ulong)TimerStart.Absolute) != 0 ? nanoseconds : nanoseconds > ulong.MaxValue - 1 - now ? ulong.MaxValue - 1 : now + nanoseconds;
        found.ArmedBy = ++_starts;
        _queue.Enqueue((found, _starts), (due, _starts));
        NextDue = Math.Min(NextDue, due);
        return 0;
    }

    public override int Cancel(ulong* timer)
    {
        if (Find(timer) is not { } found)
        {
            return -Errno.Invalid;
        }

        if (found == _running)
        {
            return Deadlock;
        }

        var wasArmed = found.ArmedBy != 0;
        found.ArmedBy = 0;
        return wasArmed ? 1 : 0;
    }

    /// <summary>Fires what is due up to <paramref name="end"/>; the clock stands at the time of each while it runs.</summary>
    public void FireUntil(ulong end)
    {
        lock (gate)
        {
            while (_queue.TryPeek(out var next, out var time) && time.Due <= end)
            {
                _queue.Dequeue();
                NextDue = _queue.TryPeek(out _, out var following) ? following.Due : ulong.MaxValue;
                if (next.Timer.ArmedBy == next.Start)
                {
                    next.Timer.ArmedBy = 0;
                    Fire(next.Timer, time.Due);
                }
            }
        }
    }

    private void Fire(Timer timer, ulong due)
    {
        if (timer.Map is not { IsBound: true, Storage: TwinMapStorage { IsDisposed: false } storage } || *(ulong*)timer.Address != timer.Number
            || !storage.TryLocate((byte*)timer.Address, out var key, out var value))
        {
            _timers.Remove(timer.Number);
            return;
        }

        environment.SetClock(Math.Max(environment.KtimeNow, due));
        var (previous, before) = (KernelEnvironment.Exchange(environment), _running);
        _running = timer;
        try
        {
            timer.Call.Call(timer.Map, key, value);
        }
        finally
        {
            _running = before;
            KernelEnvironment.Exchange(previous);
        }
    }

    private Timer? Find(ulong* timer) =>
        _timers.TryGetValue(*timer, out var found) && found.Address == (nint)timer ? found : null;

    /// <summary>Forgets the timers of entries that are gone.</summary>
    private void Sweep()
    {
        foreach (var timer in _timers.Values.ToArray())
        {
            if (timer.Map is not { IsBound: true, Storage: TwinMapStorage { IsDisposed: false } } || *(ulong*)timer.Address != timer.Number)
            {
                _timers.Remove(timer.Number);
            }
        }

        _sweepAt = Math.Max(FewTimers, 2 * _timers.Count);
    }

    private sealed class Timer(ulong number, nint address, BpfMap map)
    {
        public ulong Number { get; } = number;

        public nint Address { get; } = address;

        public BpfMap Map { get; } = map;

        public LaterCall Call { get; set; }

        /// <summary>The start that counts; 0 when it is not armed.</summary>
        public long ArmedBy { get; set; }
    }
}
