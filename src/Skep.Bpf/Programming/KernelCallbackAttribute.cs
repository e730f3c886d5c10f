namespace Skep.Bpf.Programming;

/// <summary>
/// Says how the kernel calls the function that a helper takes in this parameter, a delegate or a function pointer. Without it the kernel's
/// arguments are those of the C# type in order. The function returns 0 to go on and anything else to stop, or nothing.
/// </summary>
/// <param name="skip">Arguments of the kernel before the first of the C# type, such as the map that is walked.</param>
[AttributeUsage(AttributeTargets.Parameter)]
public sealed class KernelCallbackAttribute(int skip = 0) : Attribute
{
    /// <summary>Arguments of the kernel before the first of the C# type.</summary>
    public int Skip { get; } = skip;

    /// <summary>The kernel's first argument is a dynptr; the function gets the value at its start, and is not called for one that is shorter.</summary>
    public bool TakesRecord { get; init; }

    /// <summary>The kernel calls the function later, on a stack of its own (timers, work queues), not before the helper returns.</summary>
    public bool RunsLater { get; init; }
}
