using System.Runtime.InteropServices;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Programming;

/// <summary>
/// A timer in a map's value (<c>struct bpf_timer</c>, kernel 5.15): it calls a function of the program later, with the entry it stands in. Sixteen bytes,
/// one per value, in hash tables, LRU hash tables and arrays. When the entry is removed or replaced, the timer is cancelled and gone.
/// </summary>
/// <remarks>
/// Under the twin a timer fires when the clock reaches its time: while the clock is moved on, or when the program that armed it ends. Tracing programs
/// have no timers on older kernels.
/// </remarks>
[KernelStruct("bpf_timer", IsValue = true)]
[StructLayout(LayoutKind.Sequential)]
public unsafe struct BpfTimer
{
    private ulong _number;
    private readonly ulong _reserved;

    /// <summary>
    /// Makes the timer usable, once in the life of its entry (<c>bpf_timer_init</c>).
    /// </summary>
    /// <param name="map">The map in whose value the timer stands.</param>
    /// <param name="clock">The clock it runs on.</param>
    /// <returns>0, or a negative errno: EBUSY when it is usable already, EPERM when no process holds the map and nothing pins it.</returns>
    public int Initialize(BpfMap map, TimerClock clock = TimerClock.Monotonic) => Initialize(map, (ulong)clock);

    /// <summary>
    /// Says what the timer does (<c>bpf_timer_set_callback</c>).
    /// </summary>
    /// <param name="map">The map in whose value the timer stands: it gives the types of key and value.</param>
    /// <param name="elapsed">A static lambda or a method; it knows only its arguments, and readonly fields of its object.</param>
    /// <returns>0, or a negative errno: EINVAL when the timer was not made usable.</returns>
    public int OnElapsed<TKey, TValue>(KeyedMap<TKey, TValue> map, EntryCallback<TKey, TValue> elapsed)
        where TKey : unmanaged
        where TValue : unmanaged
    {
        _ = map;
        return SetCallback(elapsed);
    }

    /// <summary>Lets the timer fire once; if it runs already, the new time counts (<c>bpf_timer_start</c>).</summary>
    /// <param name="nanoseconds">When: from now on, or, with <see cref="TimerStart.Absolute"/>, by the timer's clock.</param>
    /// <param name="how">How the time is meant.</param>
    /// <returns>0, or a negative errno: EINVAL without <see cref="OnElapsed"/>.</returns>
    public int Start(ulong nanoseconds, TimerStart how = TimerStart.Relative) => Start(nanoseconds, (ulong)how);

    /// <summary>Stops the timer, and waits when it fires just now (<c>bpf_timer_cancel</c>).</summary>
    /// <returns>1 when it was running, 0 when not, or a negative errno: EDEADLK (-35) from its own function.</returns>
    [KernelHelper(172, Since = "5.15")]
    public int Cancel()
    {
        fixed (ulong* timer = &_number)
        {
            return KernelEnvironment.Current.Timers.Cancel(timer);
        }
    }

    [KernelHelper(169, Since = "5.15")]
    private int Initialize(BpfMap map, ulong flags)
    {
        fixed (ulong* timer = &_number)
        {
            return KernelEnvironment.Current.Timers.Initialize(timer, map, flags);
        }
    }

    [KernelHelper(170, Since = "5.15")]
    private int SetCallback<TKey, TValue>([KernelCallback(skip: 1, RunsLater = true)] EntryCallback<TKey, TValue> elapsed)
        where TKey : unmanaged
        where TValue : unmanaged
    {
        fixed (ulong* timer = &_number)
        {
            return KernelEnvironment.Current.Timers.SetCallback(timer, LaterCall.To(elapsed));
        }
    }

    [KernelHelper(171, Since = "5.15")]
    private int Start(ulong nanoseconds, ulong flags)
    {
        fixed (ulong* timer = &_number)
        {
            return KernelEnvironment.Current.Timers.Start(timer, nanoseconds, flags);
        }
    }
}

/// <summary>What a timer calls: a function that gets the entry the timer stands in.</summary>
/// <param name="key">Its key.</param>
/// <param name="value">Its live value.</param>
public delegate void EntryCallback<TKey, TValue>(in TKey key, ref TValue value)
    where TKey : unmanaged
    where TValue : unmanaged;

/// <summary>Clocks of timers (<c>CLOCK_*</c>).</summary>
public enum TimerClock : ulong
{
    /// <summary>Monotonic time, not counting suspend: that of <see cref="Helper.KtimeGetNs"/>.</summary>
    Monotonic = 1,
    /// <summary>Monotonic time, counting suspend.</summary>
    BootTime = 7,
}

/// <summary>How the time of a timer is meant (<c>BPF_F_TIMER_*</c>).</summary>
[Flags]
public enum TimerStart : ulong
{
    /// <summary>From now on.</summary>
    Relative = 0,
    /// <summary>By the timer's clock (kernel 6.4).</summary>
    Absolute = 1,
    /// <summary>It fires on the CPU that started it (kernel 6.7).</summary>
    OnThisCpu = 2,
}
