namespace Skep.Bpf.Programming;

/// <summary>
/// Marks a method that becomes a global function of the kernel program: the verifier walks it once, by itself, for any arguments, and not again
/// at each call (kernel 5.6). That bounds the cost of a large function called from many places; what a caller knows of the arguments is not known inside.
/// It takes at most five numbers, the context, and structs without pointers by reference (kernel 5.12), and returns a number or nothing.
/// </summary>
/// <remarks>A method with <c>[MethodImpl(MethodImplOptions.NoInlining)]</c> becomes a static function instead, which may take pointers and is walked at each call.</remarks>
[AttributeUsage(AttributeTargets.Method)]
public sealed class GlobalFunctionAttribute : Attribute;
