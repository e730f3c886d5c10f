using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Programming;

/// <summary>Timers and work queues as programs in the process see them; the twin has them. Results are those of the kernel's helpers.</summary>
public abstract unsafe class KernelTimers
{
    /// <summary>Makes a timer usable.</summary>
    /// <param name="timer">Its address: the first eight bytes are its number, 0 while it is not usable.</param>
    /// <param name="map">The map in whose value it stands.</param>
    /// <param name="flags">Its clock.</param>
    public abstract int Initialize(ulong* timer, BpfMap map, ulong flags);

    /// <summary>Sets what a timer calls.</summary>
    public abstract int SetCallback(ulong* timer, LaterCall call);

    /// <summary>Arms a timer.</summary>
    public abstract int Start(ulong* timer, ulong nanoseconds, ulong flags);

    /// <summary>Disarms a timer.</summary>
    public abstract int Cancel(ulong* timer);
}

/// <summary>A call that is made later, with an entry of a map.</summary>
/// <param name="map">The map.</param>
/// <param name="key">Address of the key.</param>
/// <param name="value">Address of the live value.</param>
public unsafe delegate void LaterCallback(BpfMap map, byte* key, byte* value);

/// <summary>What a timer or work queue in the process calls.</summary>
/// <param name="Call">The call.</param>
public readonly record struct LaterCall(LaterCallback Call)
{
    /// <summary>A call of a typed function.</summary>
    public static unsafe LaterCall To<TKey, TValue>(EntryCallback<TKey, TValue> callback)
        where TKey : unmanaged
        where TValue : unmanaged => new((map, key, value) =>
        {
            if (map.KeySize != sizeof(TKey) || map.ValueSize != sizeof(TValue))
            {
                throw new InvalidOperationException(
                    $"A function with key {typeof(TKey).Name} and value {typeof(TValue).Name} is called for an entry of map '{map.Name}', whose types are others.");
            }

            // SAFETY: the storage keeps key and value where they are while the call runs.
            callback(in Unsafe.AsRef<TKey>(key), ref Unsafe.AsRef<TValue>(value));
        });
}
