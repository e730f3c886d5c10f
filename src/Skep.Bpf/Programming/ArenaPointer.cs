namespace Skep.Bpf.Programming;

/// <summary>
/// A pointer into an <see cref="Maps.Arena"/>: eight bytes, the address as the process has it, so that program and process follow the same pointers: lists, trees and
/// tables in an arena belong to both.
/// </summary>
/// <remarks>
/// Nothing is tested when it is followed. In a program, an address whose page is not there reads as zero, and writes to it are lost; offsets wrap within the arena's
/// 4 GiB. In the process such an address faults.
/// </remarks>
/// <typeparam name="T">What it points to.</typeparam>
public readonly unsafe struct ArenaPointer<T> : IEquatable<ArenaPointer<T>>
    where T : unmanaged
{
    private readonly T* _address;

    /// <summary>A pointer to an address of the process inside the arena.</summary>
    public ArenaPointer(T* address) => _address = address;

    /// <summary>Whether it leads nowhere.</summary>
    public bool IsNull => _address == null;

    /// <summary>The address, as the process has it.</summary>
    public T* Address => _address;

    /// <summary>What it points to.</summary>
    public ref T Value => ref *(T*)ArenaAddress.InProgram(_address);

    /// <summary>The element <paramref name="index"/> places further on.</summary>
    public ref T this[long index] => ref *(T*)ArenaAddress.InProgram(_address + index);

    /// <summary>A pointer <paramref name="count"/> elements further on.</summary>
    public ArenaPointer<T> Plus(long count) => new(_address + count);

    /// <summary>The same address, as another type.</summary>
    public ArenaPointer<TOther> As<TOther>()
        where TOther : unmanaged => new((TOther*)_address);

    /// <summary>Whether both lead to the same place.</summary>
    public bool Equals(ArenaPointer<T> other) => _address == other._address;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is ArenaPointer<T> other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => ((nint)_address).GetHashCode();

    /// <summary>Whether both lead to the same place.</summary>
    public static bool operator ==(ArenaPointer<T> left, ArenaPointer<T> right) => left._address == right._address;

    /// <summary>Whether they lead to different places.</summary>
    public static bool operator !=(ArenaPointer<T> left, ArenaPointer<T> right) => left._address != right._address;
}

/// <summary>Addresses in arenas.</summary>
internal static unsafe class ArenaAddress
{
    /// <summary>The address as a program can follow it; in the process it is that already.</summary>
    [ArenaCast]
    internal static void* InProgram(void* address) => address;
}

/// <summary>Marks the method that in the kernel casts an address from the arena's space to the kernel's (<c>addr_space_cast</c>, kernel 6.9).</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ArenaCastAttribute : Attribute;
