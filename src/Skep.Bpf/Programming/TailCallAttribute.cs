namespace Skep.Bpf.Programming;

/// <summary>Marks a method that in the kernel is a tail call: arguments are the map, the context, the slot and the result when the call fails.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class TailCallAttribute : Attribute;
