using System.Runtime.CompilerServices;

namespace Skep.KernelTests;

/// <summary>A test that programs the kernel: skipped with the reason where that is impossible, unless <c>SKEP_REQUIRE_KERNEL=1</c>.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class KernelFactAttribute : FactAttribute
{
    public KernelFactAttribute([CallerFilePath] string? file = null, [CallerLineNumber] int line = -1)
        : base(file, line) => Skip = Kernel.IsRequired ? null : Kernel.Obstacle;

    /// <summary>Features the test needs, names of the table: it is skipped, with the reason, by a kernel that is too old, and by no other.</summary>
    public string[] Needs
    {
        get;
        init
        {
            field = value;
            Skip ??= Kernel.Obstacle is null ? value.Select(Kernel.ReasonToSkip).FirstOrDefault(static reason => reason is not null) : null;
        }
    } = [];
}

/// <summary>As <see cref="KernelFactAttribute"/>, once for each row of data.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class KernelTheoryAttribute : TheoryAttribute
{
    public KernelTheoryAttribute([CallerFilePath] string? file = null, [CallerLineNumber] int line = -1)
        : base(file, line) => Skip = Kernel.IsRequired ? null : Kernel.Obstacle;

    /// <summary>Features the test needs, names of the table: it is skipped, with the reason, by a kernel that is too old, and by no other.</summary>
    public string[] Needs
    {
        get;
        init
        {
            field = value;
            Skip ??= Kernel.Obstacle is null ? value.Select(Kernel.ReasonToSkip).FirstOrDefault(static reason => reason is not null) : null;
        }
    } = [];
}
